//! Parts of the net as operators write them, and tables that are looked up by address.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The bits in which an IPv4 address stands as an IPv6 one (RFC 4291, section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A network: an address and how many bits of it count, for IPv4 or IPv6.
///
/// Invariant: the other bits are clear, so equal networks are equal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net {
    family: Family,
    /// The bits of an IPv6 address, or of the one in which an IPv4 address is mapped.
    bits: u128,
    /// How many of these bits count: at least 96 for IPv4.
    length: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Family {
    V4,
    V6,
}

impl Family {
    /// The family of an address that is canonical.
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl Net {
    /// What an address stands for by itself: an IPv4 address for itself, an IPv6 address for its /64, in which one
    /// person has any number of them. The loopback address of IPv6 has none beside it.
    pub(crate) fn around(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let length = match address {
            IpAddr::V6(address) if !address.is_loopback() => 64,
            _ => 128,
        };
        Self::of_bits(Family::of(address), bits(address), length)
    }

    fn of_bits(family: Family, bits: u128, length: u8) -> Self {
        let bits = bits & mask(length);
        Self {
            family,
            bits,
            length,
        }
    }

    /// Whether this address is part of it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.family == Family::of(address) && bits(address) & mask(self.length) == self.bits
    }

    /// Whether every address of `other` is part of it.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.family == other.family
            && self.length <= other.length
            && other.bits & mask(self.length) == self.bits
    }

    /// Whether some address is part of both.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// How many bits of the address count: at most 32 for IPv4, and 128 for IPv6.
    fn prefix_length(self) -> u8 {
        match self.family {
            Family::V4 => self.length - MAPPED_BITS,
            Family::V6 => self.length,
        }
    }

    /// The network that one provider may give to one place (/16, and /32 for IPv6), if this is wider than that.
    pub(crate) fn is_wider_than(self) -> Option<&'static str> {
        let (length, shown) = match self.family {
            Family::V4 => (16, "/16"),
            Family::V6 => (32, "/32"),
        };
        (self.prefix_length() < length).then_some(shown)
    }

    /// Whether it is meant for loopback: nothing of it is elsewhere, or nothing that anybody has.
    pub(crate) fn is_loopback(self) -> bool {
        match self.family {
            Family::V4 => self.prefix_length() >= 8 && bits_to_address(self.bits).is_loopback(),
            Family::V6 => self.length >= 64 && self.contains(Ipv6Addr::LOCALHOST.into()),
        }
    }
}

/// The bits of an address, of IPv4 as it is mapped.
fn bits(address: IpAddr) -> u128 {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    address.into()
}

fn bits_to_address(bits: u128) -> IpAddr {
    Ipv6Addr::from(bits).to_canonical()
}

/// The first `length` bits, at most 128.
fn mask(length: u8) -> u128 {
    let clear = 128 - u32::from(length.min(128));
    u128::MAX.checked_shl(clear).unwrap_or(0)
}

impl Display for Net {
    /// As it is written in rules and told to operators: one IPv4 address without its length.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::V4 => {
                bits_to_address(self.bits).fmt(f)?;
                match self.prefix_length() {
                    32 => Ok(()),
                    length => write!(f, "/{length}"),
                }
            }
            Family::V6 => write!(f, "{}/{}", Ipv6Addr::from(self.bits), self.length),
        }
    }
}

/// The text is no address and no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoNet;

impl FromStr for Net {
    type Err = NoNet;

    fn from_str(text: &str) -> Result<Self, NoNet> {
        let Some((address, length)) = text.split_once('/') else {
            return text.parse().map(Self::around).map_err(|_| NoNet);
        };
        let address: IpAddr = address.parse().map_err(|_| NoNet)?;
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length: u8 = length.parse().map_err(|_| NoNet)?;
        let length_max = if address.is_ipv4() { 32 } else { 128 };
        if !is_number || length > length_max {
            return Err(NoNet);
        }
        let canonical = address.to_canonical();
        Ok(match (address, canonical) {
            (IpAddr::V4(_), _) => Self::of_bits(Family::V4, bits(address), MAPPED_BITS + length),
            (IpAddr::V6(_), IpAddr::V4(_)) if length >= MAPPED_BITS => {
                Self::of_bits(Family::V4, bits(address), length)
            }
            (IpAddr::V6(_), _) => Self::of_bits(Family::V6, bits(address), length),
        })
    }
}

/// Values by network, found by the addresses in them.
///
/// A look-up costs one probe for each prefix length that is in use, however many networks there are: at most 33 for an
/// IPv4 address and 129 for an IPv6 one. Nothing depends on the order of the hash map.
///
/// Invariant: `lengths` counts the networks of `by_net`.
#[derive(Debug, Clone)]
pub(crate) struct Nets<T> {
    by_net: HashMap<Net, T>,
    lengths: BTreeMap<(Family, u8), usize>,
}

impl<T> Default for Nets<T> {
    fn default() -> Self {
        Self {
            by_net: HashMap::new(),
            lengths: BTreeMap::new(),
        }
    }
}

impl<T> Nets<T> {
    /// The value of this network, which is made if there is none.
    pub(crate) fn or_default(&mut self, net: Net) -> &mut T
    where
        T: Default,
    {
        let lengths = &mut self.lengths;
        self.by_net.entry(net).or_insert_with(|| {
            *lengths.entry((net.family, net.length)).or_default() += 1;
            T::default()
        })
    }

    /// Takes the value of exactly this network out.
    pub(crate) fn remove(&mut self, net: Net) -> Option<T> {
        let value = self.by_net.remove(&net)?;
        let key = (net.family, net.length);
        if let Some(count) = self.lengths.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&key);
            }
        }
        Some(value)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_net.is_empty()
    }

    /// The value of exactly this network.
    pub(crate) fn get(&self, net: Net) -> Option<&T> {
        self.by_net.get(&net)
    }

    /// The values of the networks that this address is part of, the widest first.
    pub(crate) fn around(&self, address: IpAddr) -> impl Iterator<Item = &T> + '_ {
        let address = address.to_canonical();
        let (family, bits) = (Family::of(address), bits(address));
        let lengths = self.lengths.range((family, 0)..=(family, 128));
        lengths.filter_map(move |((_, length), _)| {
            self.by_net.get(&Net::of_bits(family, bits, *length))
        })
    }

    /// Whether this address is part of one of the networks.
    #[cfg(test)]
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.around(address).next().is_some()
    }

    /// Whether some address is part of this network and of one of these. It looks at all of them.
    pub(crate) fn meet(&self, net: Net) -> bool {
        self.by_net.keys().any(|known| known.meets(net))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> Net {
        text.parse()
            .unwrap_or_else(|_| panic!("{text} is no network"))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_read_and_shown_as_operators_write_them() {
        for (written, shown) in [
            ("198.51.100.7", "198.51.100.7"),
            ("198.51.100.7/32", "198.51.100.7"),
            ("198.51.100.7/24", "198.51.100.0/24"),
            ("198.51.100.7/0", "0.0.0.0/0"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("::ffff:1.2.3.4/120", "1.2.3.0/24"),
            ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::9/128", "2001:db8:1:2::9/128"),
            ("2001:db8:1:2::9/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("::1", "::1/128"),
            ("::ffff:1.2.3.4/80", "::/80"),
        ] {
            assert_eq!(net(written).to_string(), shown, "{written}");
        }
        for wrong in [
            "",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "::/129",
            "10.0.0.0/8/8",
            "fe80::1%eth0",
            "ann",
            "/8",
            "10.0.0.0/0x8",
            " 10.0.0.1",
            "010.0.0.1",
        ] {
            assert_eq!(wrong.parse::<Net>(), Err(NoNet), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_part_of_networks_of_its_own_family_alone() {
        assert!(net("0.0.0.0/0").contains(address("::ffff:1.2.3.4")));
        assert!(!net("::/0").contains(address("1.2.3.4")));
        assert!(net("::/0").contains(address("2001:db8::1")));
        assert!(!net("0.0.0.0/0").contains(address("::1")));
        assert!(net("2001:db8:1:2::9").contains(address("2001:db8:1:2:ffff::1")));
    }

    #[test]
    fn networks_meet_where_one_covers_the_other() {
        assert!(net("10.0.0.0/8").meets(net("10.1.2.3")));
        assert!(net("10.1.2.3").meets(net("10.0.0.0/8")));
        assert!(!net("10.1.2.3").covers(net("10.0.0.0/8")));
        assert!(!net("10.0.0.0/8").meets(net("11.0.0.0/8")));
        assert!(!net("::/0").meets(net("10.0.0.0/8")));
    }

    #[test]
    fn loopback_and_what_is_wide_are_known() {
        for loopback in [
            "127.0.0.1",
            "127.1.2.3/16",
            "127.0.0.0/8",
            "::1",
            "::1/64",
            "::ffff:127.0.0.1",
        ] {
            assert!(net(loopback).is_loopback(), "{loopback}");
        }
        for elsewhere in [
            "126.0.0.0/7",
            "128.0.0.1",
            "2001:db8::1",
            "::2/128",
            "::/16",
        ] {
            assert!(!net(elsewhere).is_loopback(), "{elsewhere}");
        }
        for (text, than) in [
            ("10.0.0.0/15", Some("/16")),
            ("10.0.0.0/16", None),
            ("2001::/31", Some("/32")),
            ("2001:db8::/32", None),
        ] {
            assert_eq!(net(text).is_wider_than(), than, "{text}");
        }
    }

    #[test]
    fn a_table_forgets_the_lengths_that_are_not_in_use() {
        let mut nets = Nets::<u32>::default();
        *nets.or_default(net("10.0.0.0/8")) = 1;
        *nets.or_default(net("10.0.0.0/24")) = 2;
        *nets.or_default(net("10.0.1.0/24")) = 3;
        let found =
            |nets: &Nets<u32>, text| nets.around(address(text)).copied().collect::<Vec<_>>();
        assert_eq!(found(&nets, "10.0.0.9"), [1, 2]);
        assert_eq!(found(&nets, "::ffff:10.0.1.9"), [1, 3]);
        assert!(!nets.contains(address("::1")));
        assert_eq!(nets.remove(net("10.0.0.0/24")), Some(2));
        assert_eq!(nets.remove(net("10.0.0.0/24")), None);
        assert_eq!(nets.lengths.len(), 2);
        assert_eq!(nets.remove(net("10.0.1.0/24")), Some(3));
        assert_eq!(nets.lengths.len(), 1);
        assert_eq!(nets.get(net("10.0.0.0/8")), Some(&1));
        assert!(nets.meet(net("10.2.0.0/16")) && !nets.meet(net("11.0.0.0/16")));
    }

    fn any_net() -> impl Strategy<Value = Net> {
        // Few addresses, so that they meet.
        let v4 = (0..4u32, 0..=32u8).prop_map(|(n, length)| {
            Net::of_bits(
                Family::V4,
                bits(Ipv4Addr::from(n << 29).into()),
                96 + length,
            )
        });
        let v6 = (0..4u128, 0..=128u8)
            .prop_map(|(n, length)| Net::of_bits(Family::V6, n << 125, length));
        prop_oneof![v4, v6]
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        let v4 = (0..4u32, 0..3u32).prop_map(|(n, host)| Ipv4Addr::from(n << 29 | host).into());
        let v6 = (0..4u128, 0..3u128).prop_map(|(n, host)| Ipv6Addr::from(n << 125 | host).into());
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn a_network_is_read_as_it_is_shown(net in any_net()) {
            prop_assert_eq!(net.to_string().parse(), Ok(net));
        }

        #[test]
        fn a_table_finds_what_a_walk_finds(
            nets in prop::collection::vec(any_net(), 0..12),
            gone in prop::collection::vec(any_net(), 0..6),
            address in any_address(),
        ) {
            let mut table = Nets::<Vec<usize>>::default();
            for (index, net) in nets.iter().enumerate() {
                table.or_default(*net).push(index);
            }
            for net in &gone {
                table.remove(*net);
            }
            let mut found: Vec<usize> = table.around(address).flatten().copied().collect();
            found.sort_unstable();
            let walked = nets.iter().enumerate();
            let expected: Vec<usize> = walked
                .filter(|(_, net)| !gone.contains(net) && net.contains(address))
                .map(|(index, _)| index)
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn reading_a_network_never_panics(text in "[0-9a-f:./]{0,24}") {
            if let Ok(net) = text.parse::<Net>() {
                prop_assert_eq!(net.to_string().parse(), Ok(net));
            }
        }
    }
}
