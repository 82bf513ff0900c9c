# The ports of a gateway may be below 1024, and its proxy is not root.
open_low_ports() { sysctl --quiet --write net.ipv4.ip_unprivileged_port_start=0; }
