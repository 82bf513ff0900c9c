has() { command -v "$1" >/dev/null; }

install_firewall() {
  has iptables-restore || has nft || add_package nftables nftables
}

# deletions PROGRAM TABLE: the rules of other chains that lead to ours, as deletions: setting rules again must not double them.
deletions() {
  "$1-save" | sed -n -e "/^\*$2/,/^COMMIT/ {" \
    -e 's/^-A \(.* -[jg] FLEETMESH_\(INGRESS\|EGRESS\|GUARD\)\)$/-D \1/p' -e '}'
}
