//! Where clouds keep the metadata services of their machines: whoever can make a process there call them gets its tokens. No
//! provider is there; only what fetches tokens asks them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// AWS, Google Cloud, Azure and most others; ECS; EKS; Alibaba; Azure's host.
const V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// AWS; EKS.
const V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)];

/// Whether a metadata service is at this address.
pub fn is_address(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => V4.contains(&ip),
        IpAddr::V6(ip) => V6.contains(&ip),
    }
}

/// Whether a host, as a URL writes it, is a metadata service's, as far as it can be known without looking up names.
pub fn is_host(host: &str) -> bool {
    const NAMES: [&str; 3] = ["metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"];
    let bare = host.trim_matches(['[', ']']).trim_end_matches('.');
    NAMES.iter().any(|name| name.eq_ignore_ascii_case(bare)) || bare.parse().is_ok_and(is_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_known_in_every_spelling_of_their_addresses() {
        for host in [
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[fd00:ec2::254]",
            "169.254.170.2",
            "Metadata.Google.Internal.",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in ["169.254.1.1", "127.0.0.1", "[::1]", "10.0.0.7", "api.openai.com", "metadata.example.com"] {
            assert!(!is_host(host), "{host}");
        }
    }
}
