# home VARIABLE DIRECTORY [copy NAME FILE | write NAME TEXT | name VARIABLE DIRECTORY]... -- PROGRAM [ARGUMENT]...
# Makes the directory that VARIABLE names, or DIRECTORY in HOME; copies each FILE to NAME in it and writes TEXT
# to NAME; gives each further VARIABLE a directory in it; starts PROGRAM.
set -e
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
  esac
  shift 3
done
shift
exec "$@"
