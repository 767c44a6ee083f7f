# home VARIABLE DIRECTORY [copy NAME FILE | write NAME TEXT | name VARIABLE DIRECTORY | hide NAME DIRECTORIES]...
#   -- PROGRAM [ARGUMENT]...
# Makes the directory that VARIABLE names, or DIRECTORY in HOME; copies each FILE to NAME in it and writes TEXT
# to NAME; gives each further VARIABLE a directory in it; writes settings to NAME that turn all skills off which
# lie in DIRECTORIES of the worktree, up to its top, unless NAME is there; starts PROGRAM.
set -e

hide() {
  place=$PWD
  while :; do
    for directory in $1; do
      [ ! -d "$place/$directory" ] || find -L "$place/$directory" -name SKILL.md 2>/dev/null || true
    done
    if [ -e "$place/.git" ] || [ -z "$place" ]; then break; fi
    place=${place%/*}
  done | grep -v '[[:cntrl:]]' | sed 's/[\\"]/\\&/g; s/.*/[[skills.config]]\npath = "&"\nenabled = false/'
}

eval "home=\${$1:-}"
home=${home:-$HOME/$2}
export "$1=$home"
shift 2
mkdir -p "$home"
while [ "$1" != -- ]; do
  case $1 in
    name) export "$2=$home/$3" ;;
    *) case $2 in */*) mkdir -p "$home/${2%/*}" ;; esac ;;
  esac
  case $1 in
    copy) cp "$3" "$home/$2" ;;
    write) printf '%s' "$3" >"$home/$2" ;;
    hide) [ -e "$home/$2" ] || hide "$3" >"$home/$2" ;;
  esac
  shift 3
done
shift
exec "$@"
