//! What operators are told, once for their socket and for the chat: without `-- ` and `!! ` before it.

use std::fmt::Write;

use crate::hub::operators::outcome::{Denied, Done, Kept, MadeFor, Reader, Shown};
use crate::hub::rules::guard::Guard;
use crate::hub::rules::rule::Kind;
use crate::name::Name;
use crate::net::Net;
use crate::when::End;

/// At most this many names are told in a line.
const NAMES_MAX: usize = 20;

impl Done {
    /// What was done.
    pub(crate) fn words(&self, kept: &Kept, reader: Reader) -> String {
        match self {
            Self::Kicked(count) => format!("{} kicked", sessions(*count)),
            Self::Made {
                number,
                target,
                until,
                sessions,
            } => made(*number, target, *until, *sessions, reader) + &ending(kept, true),
            Self::Lifted { rules, target } => {
                let target = target.words(reader);
                let lifted = match rules[..] {
                    [(kind, number)] => format!("{} {number} lifted: {target}", kind.word()),
                    _ => format!("{} rules lifted: {target}", rules.len()),
                };
                lifted + &ending(kept, false)
            }
            Self::Renamed { from, to } => format!("{from} is now {to}"),
            Self::Told(count) => format!("{} told", sessions(*count)),
            Self::RoomClosed(count) => format!("{} sent to lobby", sessions(*count)),
            Self::Operator { name, on: true } => format!("{name} is an operator"),
            Self::Operator { name, on: false } => format!("{name} is no operator any more"),
        }
    }
}

fn made(number: u64, target: &MadeFor, until: Option<u64>, met: usize, reader: Reader) -> String {
    let until = match until {
        Some(_) => format!("until {}", End(until)),
        None => "forever".to_owned(),
    };
    let met = sessions(met);
    match target {
        MadeFor::Ban(net) => {
            format!(
                "ban {number}: {} {until}; {met} closed",
                shown(*net, reader)
            )
        }
        MadeFor::Mute(net) => format!("mute {number}: {} {until}; {met}", shown(*net, reader)),
        MadeFor::Name(pattern) => format!("name {number}: {pattern} {until}; {met} renamed"),
        MadeFor::Session { name, others } => {
            let others = others.map(|(count, net)| {
                let (others, share) = match count {
                    1 => ("other", "shares"),
                    _ => ("others", "share"),
                };
                format!(" ({count} {others} {share} {})", shown(net, reader))
            });
            let others = others.unwrap_or_default();
            format!("mute {number}: {name}, this session only{others} {until}")
        }
    }
}

/// What is told of the file behind what was done to a rule.
fn ending(kept: &Kept, is_made: bool) -> String {
    match kept {
        Kept::UntilStop if is_made => "; until the server stops".to_owned(),
        Kept::Saved | Kept::UntilStop => String::new(),
        Kept::NotSaved(why) => format!("; not saved: {why}"),
    }
}

impl Denied {
    /// Why it was not done.
    pub(crate) fn words(&self, reader: Reader) -> String {
        match self {
            Self::NoSession(number) => format!("no session {number}"),
            Self::Nobody(name) => format!("nobody here is called {name}"),
            Self::NoAddress(text) => format!("no such address: {text}"),
            Self::Lobby => "the lobby is always there".to_owned(),
            Self::NoRoom(name) => format!("no such room: {name}"),
            Self::NoSpan(text) => {
                format!("{text} is no time: write 90s, 15m, 2h30m, 7d or forever")
            }
            Self::NoPattern(error) => error.to_string(),
            Self::NoRule(number) => format!("no rule {number}"),
            Self::Full => "there are 10000 rules already; bans lists them".to_owned(),
            Self::NoTarget => "a rule is for an address or a name, not for a room".to_owned(),
            Self::NotOne(count) => format!("{count} sessions are meant: write id=N"),
            Self::NotRuled { kind, target } => {
                format!("{} is not {}", target.words(reader), participle(*kind))
            }
            Self::RuledBy {
                kind,
                target,
                by,
                number,
            } => {
                let (target, done) = (target.words(reader), participle(*kind));
                match reader {
                    Reader::Operator => format!("{target} is {done} by {by}: lift {number}"),
                    Reader::Moderator => {
                        format!("{target} is {done} with many; the server's operators can do more")
                    }
                }
            }
            Self::Guard(guard) => guard.words(reader),
            Self::Refused(refusal) => refusal.to_string(),
            Self::TooLongHere => "at most 24h here; the server's operators can do more".to_owned(),
        }
    }
}

impl Guard {
    fn words(&self, reader: Reader) -> String {
        // Moderators in the chat cannot force anything.
        let force = |separator: &str| match reader {
            Reader::Operator => format!("{separator}write force"),
            Reader::Moderator => String::new(),
        };
        match self {
            Self::Loopback(net) => {
                let net = net.to_string();
                let address = net.strip_suffix("/128").unwrap_or(&net);
                let address = match reader {
                    Reader::Operator => address,
                    Reader::Moderator => "their address",
                };
                format!("{address} is the loopback address: front ends come from there")
            }
            Self::Wide { net, than } => {
                format!(
                    "{} is wider than {than}{}",
                    shown(*net, reader),
                    force(": ")
                )
            }
            Self::Many(count) => format!("{} would be met{}", sessions(*count), force(": ")),
            Self::Exempt(net) => format!("{} is exempt{}", shown(*net, reader), force(": ")),
            Self::Shared {
                net,
                person,
                others,
            } => {
                let count = match others.len() {
                    1 => "1 other is".to_owned(),
                    count => format!("{count} others are"),
                };
                format!(
                    "{count} here from {}: {}; kick or mute {person}{}",
                    shown(*net, reader),
                    names(others),
                    force(", or ")
                )
            }
        }
    }
}

impl Shown {
    fn words(&self, reader: Reader) -> String {
        match self {
            Self::Net(net) => shown(*net, reader),
            Self::Text(text) => text.to_string(),
        }
    }
}

fn shown(net: Net, reader: Reader) -> String {
    match reader {
        Reader::Operator => net.to_string(),
        Reader::Moderator => "their address".to_owned(),
    }
}

fn sessions(count: usize) -> String {
    match count {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    }
}

fn participle(kind: Kind) -> &'static str {
    match kind {
        Kind::Ban => "banned",
        Kind::Mute => "muted",
        Kind::Name => "forbidden",
    }
}

fn names(names: &[Name]) -> String {
    let told = names.iter().take(NAMES_MAX).map(Name::text);
    let mut told = told.collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_MAX {
        let more = names.len() - NAMES_MAX;
        // Writing to a String cannot fail.
        let _ = write!(told, " and {more} more");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        text.parse().unwrap()
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[track_caller]
    fn says(done: &Done, kept: &Kept, operator: &str, moderator: &str) {
        assert_eq!(done.words(kept, Reader::Operator), operator);
        assert_eq!(done.words(kept, Reader::Moderator), moderator);
    }

    #[track_caller]
    fn refuses(denied: &Denied, operator: &str, moderator: &str) {
        assert_eq!(denied.words(Reader::Operator), operator);
        assert_eq!(denied.words(Reader::Moderator), moderator);
    }

    #[test]
    fn what_was_done_is_told_in_these_words() {
        let until = Some(1_795_788_300);
        let made = |number, target, until, sessions| Done::Made {
            number,
            target,
            until,
            sessions,
        };
        let address = net("198.51.100.7");
        says(
            &made(4, MadeFor::Ban(address), until, 1),
            &Kept::Saved,
            "ban 4: 198.51.100.7 until 2026-11-27T14:05:00Z; 1 session closed",
            "ban 4: their address until 2026-11-27T14:05:00Z; 1 session closed",
        );
        says(
            &made(5, MadeFor::Mute(address), until, 0),
            &Kept::UntilStop,
            "mute 5: 198.51.100.7 until 2026-11-27T14:05:00Z; 0 sessions; until the server stops",
            "mute 5: their address until 2026-11-27T14:05:00Z; 0 sessions; until the server stops",
        );
        let alone = |others| MadeFor::Session {
            name: name("ann"),
            others,
        };
        says(
            &made(5, alone(Some((4, address))), until, 1),
            &Kept::Saved,
            "mute 5: ann, this session only (4 others share 198.51.100.7) until 2026-11-27T14:05:00Z",
            "mute 5: ann, this session only (4 others share their address) until 2026-11-27T14:05:00Z",
        );
        says(
            &made(5, alone(Some((1, address))), None, 1),
            &Kept::Saved,
            "mute 5: ann, this session only (1 other shares 198.51.100.7) forever",
            "mute 5: ann, this session only (1 other shares their address) forever",
        );
        let alone = made(5, alone(None), None, 1);
        assert_eq!(
            alone.words(&Kept::Saved, Reader::Operator),
            "mute 5: ann, this session only forever"
        );
        let full = Kept::NotSaved("No space left on device".into());
        assert_eq!(
            made(6, MadeFor::Name("spam*".into()), None, 1).words(&full, Reader::Operator),
            "name 6: spam* forever; 1 session renamed; not saved: No space left on device"
        );
        let lifted = |rules: &[(Kind, u64)]| Done::Lifted {
            rules: rules.into(),
            target: Shown::Net(address),
        };
        says(
            &lifted(&[(Kind::Ban, 4)]),
            &Kept::UntilStop,
            "ban 4 lifted: 198.51.100.7",
            "ban 4 lifted: their address",
        );
        let two = lifted(&[(Kind::Ban, 4), (Kind::Ban, 9)]);
        assert_eq!(
            two.words(&full, Reader::Operator),
            "2 rules lifted: 198.51.100.7; not saved: No space left on device"
        );
        for (done, words) in [
            (Done::Kicked(1), "1 session kicked"),
            (Done::Kicked(0), "0 sessions kicked"),
            (Done::Told(412), "412 sessions told"),
            (
                Done::Renamed {
                    from: name("spam3"),
                    to: Name::guest(17),
                },
                "spam3 is now guest17",
            ),
            (
                Done::Operator {
                    name: name("ann"),
                    on: true,
                },
                "ann is an operator",
            ),
            (
                Done::Operator {
                    name: name("ann"),
                    on: false,
                },
                "ann is no operator any more",
            ),
        ] {
            says(&done, &Kept::Saved, words, words);
        }
    }

    #[test]
    fn what_was_refused_is_told_in_these_words() {
        let address = net("198.51.100.7");
        for (denied, words) in [
            (Denied::NoSession("17".into()), "no session 17"),
            (Denied::Nobody("bob".into()), "nobody here is called bob"),
            (
                Denied::NoAddress("10.0.0".into()),
                "no such address: 10.0.0",
            ),
            (
                Denied::NoSpan("2days".into()),
                "2days is no time: write 90s, 15m, 2h30m, 7d or forever",
            ),
            (Denied::NoRule(9), "no rule 9"),
            (Denied::NotOne(3), "3 sessions are meant: write id=N"),
            (
                Denied::TooLongHere,
                "at most 24h here; the server's operators can do more",
            ),
        ] {
            refuses(&denied, words, words);
        }
        let kind = Kind::Ban;
        let target = || Shown::Net(address);
        refuses(
            &Denied::NotRuled {
                kind,
                target: target(),
            },
            "198.51.100.7 is not banned",
            "their address is not banned",
        );
        refuses(
            &Denied::RuledBy {
                kind,
                target: target(),
                by: net("198.51.100.0/24"),
                number: 4,
            },
            "198.51.100.7 is banned by 198.51.100.0/24: lift 4",
            "their address is banned with many; the server's operators can do more",
        );
    }

    #[test]
    fn guards_are_told_in_these_words() {
        let guard = Denied::Guard;
        let wide = net("10.0.0.0/8");
        refuses(
            &guard(Guard::Wide {
                net: wide,
                than: "/16",
            }),
            "10.0.0.0/8 is wider than /16: write force",
            "their address is wider than /16",
        );
        refuses(
            &guard(Guard::Many(21)),
            "21 sessions would be met: write force",
            "21 sessions would be met",
        );
        let address = net("198.51.100.7");
        refuses(
            &guard(Guard::Exempt(address)),
            "198.51.100.7 is exempt: write force",
            "their address is exempt",
        );
        let shared = |others: &[&str]| {
            let others = others.iter().map(|other| name(other)).collect();
            let person = name("ann");
            guard(Guard::Shared {
                net: address,
                person,
                others,
            })
        };
        refuses(
            &shared(&["bob", "eve", "fay", "gil"]),
            "4 others are here from 198.51.100.7: bob, eve, fay, gil; kick or mute ann, or write force",
            "4 others are here from their address: bob, eve, fay, gil; kick or mute ann",
        );
        refuses(
            &shared(&["bob"]),
            "1 other is here from 198.51.100.7: bob; kick or mute ann, or write force",
            "1 other is here from their address: bob; kick or mute ann",
        );
        for (text, told) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1")] {
            refuses(
                &guard(Guard::Loopback(net(text))),
                &format!("{told} is the loopback address: front ends come from there"),
                "their address is the loopback address: front ends come from there",
            );
        }
    }
}
