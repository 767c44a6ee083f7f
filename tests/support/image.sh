#!/bin/bash
# A root file system made of Debian packages, without a registry, a chroot or maintainer scripts:
#
#   tests/support/image.sh minimal|python|small|busybox|bare DIRECTORY
#   tar -C DIRECTORY -c . | podman import - localhost/NAME
#
# minimal: git, coreutils, bash, certificates, and dash as sh; python: the same and Python, and bash as sh;
# busybox: that alone (so each common kind of sh is there once); small: busybox and git; bare: directories.
# DIRECTORY must not exist. Needs apt-get with package lists, dpkg-deb and tar.
set -euo pipefail

kind=$1
root=$2

base="libc6 libgcc-s1 base-files bash dash libtinfo6 coreutils libacl1 libattr1 libgmp10 libssl3 libselinux1
  libpcre2-8-0 git zlib1g libexpat1 sed grep findutils diffutils util-linux ca-certificates libcurl3-gnutls"
# What git-remote-https links against.
base+=" libnghttp2-14 libidn2-0 librtmp1 libssh2-1 libpsl5 libgnutls30 libnettle8 libhogweed6 libgssapi-krb5-2
  libkrb5-3 libk5crypto3 libcom-err2 libkrb5support0 libkeyutils1 libldap-2.5-0 libsasl2-2 libzstd1 libbrotli1
  libunistring2 libp11-kit0 libffi8 libtasn1-6"
python="python3 python3-minimal python3.11 python3.11-minimal libpython3-stdlib libpython3.11-minimal
  libpython3.11-stdlib libbz2-1.0 liblzma5 libreadline8 libncursesw6 libsqlite3-0 libuuid1 libcrypt1 libdb5.3
  libnsl2 libtirpc3 media-types"

packages() {
  case $kind in
    minimal) echo $base ;;
    python) echo $base $python ;;
    busybox) echo busybox-static ;;
    small) echo busybox-static git libc6 libgcc-s1 libpcre2-8-0 zlib1g ;;
    bare) ;;
    *) echo "image.sh: no kind '$kind'" >&2; return 1 ;;
  esac
}

# Debian merged /bin, /sbin and /lib into /usr; packages still carry files for both places.
lay_out() {
  local name
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{etc/ssl/certs,proc,dev,sys,run,root}
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
  mkdir -p -m 1777 "$root/tmp" "$root/var/tmp"
}

download() { (cd "$1" && apt-get -o APT::Sandbox::User=root -qq download $(packages)); }

unpack() {
  local downloads package
  downloads=$(mktemp -d)
  trap "rm -rf '$downloads'" EXIT
  if [ "$(id -u)" = 0 ]; then chmod 755 "$downloads"; fi
  if ! download "$downloads"; then
    [ "$(id -u)" = 0 ] || return 1
    apt-get -qq update  # the lists are missing, or older than the archive
    download "$downloads"
  fi
  for package in "$downloads"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -C "$root" -x --no-same-owner --keep-directory-symlink \
      --exclude='./usr/share/doc*' --exclude='./usr/share/man*' --exclude='./usr/share/locale*' \
      --exclude='./usr/share/info*' --exclude='./usr/share/lintian*' --exclude='./usr/share/git-core/contrib*' \
      --exclude='./usr/lib/*/gconv*'
  done
}

configure() {
  printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/nonexistent:/bin/false' > "$root/etc/passwd"
  printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' > "$root/etc/group"
  printf '%s\n' 'hosts: files dns' 'passwd: files' 'group: files' > "$root/etc/nsswitch.conf"
  if [ "$kind" = busybox ] || [ "$kind" = small ]; then
    local name
    for name in $("$root/bin/busybox" --list); do
      [ "$name" = busybox ] || ln -sf busybox "$root/usr/bin/$name"
    done
  else
    if [ "$kind" = python ]; then ln -sf bash "$root/usr/bin/sh"; else ln -sf dash "$root/usr/bin/sh"; fi
    cat "$root"/usr/share/ca-certificates/mozilla/*.crt > "$root/etc/ssl/certs/ca-certificates.crt"
  fi
}

lay_out
if [ "$kind" != bare ]; then
  unpack
  configure
fi
