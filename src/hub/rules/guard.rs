//! What an operator is asked twice before: rules that would meet more people than they may think of.

use crate::name::Name;
use crate::net::Net;

/// A rule that meets more sessions than this is not made without `force`.
const SESSIONS_MAX: usize = 20;

/// A rule that is asked for, and whom it would meet.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) net: Net,
    /// How many sessions are here from there.
    pub(crate) sessions: usize,
    /// The target meets what is exempt from limits by address.
    pub(crate) is_exempt: bool,
    /// For whom it was asked, if that was one person and the rule would be for their address.
    pub(crate) person: Option<&'a Name>,
    /// Others with names that they chose, who share the address of that person.
    pub(crate) others: Vec<Name>,
    /// It is to be made all the same.
    pub(crate) force: bool,
}

/// Why a rule is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Guard {
    /// It would be for loopback; this cannot be forced.
    Loopback(Net),
    /// The target is wider than /16, or /32 of IPv6.
    Wide { net: Net, than: &'static str },
    /// This many sessions would be met.
    Many(usize),
    /// The target meets what is exempt.
    Exempt(Net),
    /// Others share the address of the one for whom it was asked.
    Shared {
        net: Net,
        person: Name,
        others: Box<[Name]>,
    },
}

/// Lets a rule for a network pass, or says why not.
///
/// # Errors
/// The first guard that holds it up.
pub(crate) fn check(asked: Asked<'_>) -> Result<(), Guard> {
    let net = asked.net;
    if net.is_loopback() {
        return Err(Guard::Loopback(net));
    }
    if asked.force {
        return Ok(());
    }
    if let Some(than) = net.is_wider_than() {
        return Err(Guard::Wide { net, than });
    }
    if asked.is_exempt {
        return Err(Guard::Exempt(net));
    }
    if asked.sessions > SESSIONS_MAX {
        return Err(Guard::Many(asked.sessions));
    }
    match asked.person {
        Some(person) if !asked.others.is_empty() => Err(Guard::Shared {
            net,
            person: person.clone(),
            others: asked.others.into(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(net: &str) -> Asked<'static> {
        Asked {
            net: net.parse().unwrap(),
            sessions: 20,
            is_exempt: false,
            person: None,
            others: Vec::new(),
            force: false,
        }
    }

    #[test]
    fn what_meets_few_passes() {
        for net in ["198.51.100.7", "10.0.0.0/16", "2001:db8::/32"] {
            assert_eq!(check(asked(net)), Ok(()));
        }
    }

    #[test]
    fn each_guard_holds_up_what_is_not_forced() {
        let (ann, bob) = (Name::guest(1), Name::guest(2));
        let of = |asked: Asked<'static>| Asked {
            force: true,
            ..asked
        };
        let wide = "10.0.0.0/8";
        let net = wide.parse().unwrap();
        assert_eq!(check(asked(wide)), Err(Guard::Wide { net, than: "/16" }));
        assert_eq!(check(of(asked(wide))), Ok(()));
        let many = || Asked {
            sessions: 21,
            ..asked("10.0.0.1")
        };
        assert_eq!(check(many()), Err(Guard::Many(21)));
        assert_eq!(check(of(many())), Ok(()));
        let exempt = || Asked {
            is_exempt: true,
            ..asked("10.0.0.1")
        };
        assert_eq!(
            check(exempt()),
            Err(Guard::Exempt("10.0.0.1".parse().unwrap()))
        );
        assert_eq!(check(of(exempt())), Ok(()));
        let shared = |force| Asked {
            person: Some(&ann),
            others: vec![bob.clone()],
            force,
            ..asked("10.0.0.1")
        };
        let guard = Guard::Shared {
            net: "10.0.0.1".parse().unwrap(),
            person: ann.clone(),
            others: [bob.clone()].into(),
        };
        assert_eq!(check(shared(false)), Err(guard));
        assert_eq!(check(shared(true)), Ok(()));
    }

    #[test]
    fn no_force_makes_a_rule_for_loopback() {
        for net in ["127.0.0.1", "127.0.0.0/8", "::1"] {
            let forced = Asked {
                force: true,
                ..asked(net)
            };
            assert!(matches!(check(forced), Err(Guard::Loopback(_))), "{net}");
        }
    }
}
