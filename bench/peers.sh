#!/usr/bin/env bash
# Gets the peers of the comparison as Debian packages, and a C++ compiler for the ZeroMQ crate, which builds its library
# itself. The harness starts their servers by itself; none is to run on its own, so those that were just installed and
# came up are stopped.
set -euo pipefail

packages=(nats-server redis-server rabbitmq-server gearman-job-server g++ util-linux)
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)

new=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || new+=("$package")
done
[ ${#new[@]} -gt 0 ] || { echo "all peers are installed"; exit 0; }

export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${new[@]}"
if [ -d /run/systemd/system ]; then
  for package in "${new[@]}"; do
    "${sudo[@]}" systemctl disable --now "$package" 2>/dev/null || true
  done
fi
