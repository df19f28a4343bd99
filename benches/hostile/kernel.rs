//! What the kernel still holds of what attackers have sent: bytes that the server has not taken.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::SocketAddr;

/// Bytes sent from these addresses to the server, and neither taken by it nor lost.
pub(super) fn untaken_bytes(server: SocketAddr, attackers: &[SocketAddr]) -> io::Result<u64> {
    let attackers: HashSet<String> = attackers.iter().filter_map(hexadecimal).collect();
    let server = hexadecimal(&server).unwrap_or_default();
    // sl local remote state tx:rx … (the kernel's proc_net_tcp.rst)
    let table = fs::read_to_string("/proc/net/tcp")?;
    let mut untaken = 0;
    for row in table.lines().skip(1) {
        let mut fields = row.split_whitespace().skip(1);
        let (Some(local), Some(remote)) = (fields.next(), fields.next()) else {
            continue;
        };
        let Some((unsent, unread)) = fields.nth(1).and_then(|queues| queues.split_once(':')) else {
            continue;
        };
        let bytes = |text| u64::from_str_radix(text, 16).unwrap_or(0);
        if local == server && attackers.contains(remote) {
            untaken += bytes(unread);
        } else if remote == server && attackers.contains(local) {
            untaken += bytes(unsent);
        }
    }
    Ok(untaken)
}

/// An address as that table writes it: as the machine holds it.
fn hexadecimal(address: &SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let ip = u32::from_ne_bytes(address.ip().octets());
    Some(format!("{ip:08X}:{:04X}", address.port()))
}
