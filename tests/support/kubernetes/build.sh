#!/bin/bash
# Builds Kubernetes for the tests: build.sh VERSION DIRECTORY. All of its servers are one program, DIRECTORY/cluster.
#
# It needs Go and the Go module proxy, and takes 8 to 15 minutes on two cores. A second call has nothing to do.
set -euo pipefail
version=$1 home=$2 here=$(cd "$(dirname "$0")" && pwd)
[ ! -x "$home/cluster" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/cluster.go" "$work/main.go"
cd "$work"
staging=v0.${version#1.}

# The module holds no staging directory: each of its parts is a module of its own, with the same version.
printf 'module example.com/cluster\n\ngo 1.26\n' >go.mod
kubernetes=$(GOFLAGS=-mod=mod go mod download -json "k8s.io/kubernetes@v$version" | sed -nE 's/.*"GoMod": "(.*)".*/\1/p')
{
  printf 'module example.com/cluster\n\ngo 1.26\n\ngodebug default=go1.24\n\nrequire (\n'
  printf '\tk8s.io/kubernetes v%s\n\tk8s.io/component-base %s\n' "$version" "$staging"
  sed -nE 's/^\s+(github.com\/spf13\/cobra v.*)$/\t\1/p' "$kubernetes" | head -n 1
  printf ')\n\nreplace (\n'
  sed -nE "s/^\s+(k8s\.io\/[a-z0-9.-]+) => \.\/staging.*/\t\1 => \1 $staging/p" "$kubernetes"
  printf ')\n'
} >go.mod

flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags="$flags -X $package.gitVersion=v$version -X $package.gitMajor=1 -X $package.gitMinor=${version#1.}"
  flags="$flags -X $package.gitTreeState=clean -X $package.gitCommit=v$version -X $package.buildDate=2026-01-01T00:00:00Z"
done
CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -ldflags "$flags" -o cluster .
mkdir -p "$home"
mv cluster "$home/cluster"
