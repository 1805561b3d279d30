# Makes this shell ready for the stack (bash, zsh): `. scripts/env.sh`. Virtual environment, workspace, middleware defaults.
# Values already set in the environment win.
_wm_root="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)"
if [ ! -f "$_wm_root/install/setup.bash" ]; then
    echo "The workspace in $_wm_root is not built; run make setup there." >&2
    unset _wm_root
    return 1
fi
. "$_wm_root/.venv/bin/activate"
if [ -n "${ZSH_VERSION:-}" ]; then . "$_wm_root/install/setup.zsh"; else . "$_wm_root/install/setup.bash"; fi
export RMW_IMPLEMENTATION="${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}"
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
unset _wm_root
