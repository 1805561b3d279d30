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
# Inside this machine. Fast DDS by UDP alone: launch/wm_bringup/middleware.py says why.
if [ "$RMW_IMPLEMENTATION" = rmw_fastrtps_cpp ] && [ -z "${ROS_AUTOMATIC_DISCOVERY_RANGE:-}${FASTRTPS_DEFAULT_PROFILES_FILE:-}\
${FASTDDS_BUILTIN_TRANSPORTS:-}${ROS_LOCALHOST_ONLY:-}${ROS_STATIC_PEERS:-}${ROS_DISCOVERY_SERVER:-}" ]; then
    export ROS_AUTOMATIC_DISCOVERY_RANGE=SYSTEM_DEFAULT
    export FASTRTPS_DEFAULT_PROFILES_FILE="$_wm_root/launch/params/loopback.xml"
fi
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
unset _wm_root
