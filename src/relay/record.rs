//! What the nodes of one chat tell each other, as it stands in the log: the fields of an event are separated by tabs,
//! which no name and no text can hold.
//!
//! What comes from the engine is input from the network: names are parsed, text is cleaned, lengths are checked, exactly
//! as typed lines are.

use std::fmt;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;

use crate::hygiene;
use crate::name::Name;
use crate::relay::place::Id;
use crate::room_name::RoomName;

/// At most this many bytes has an entry of the log.
pub(crate) const ENTRY_BYTES_MAX: usize = 16 * 1024;

/// At most so many events has an entry of the log.
pub(crate) const ENTRY_EVENTS_MAX: usize = 64;

/// At most this long are words that another node sends, in bytes: as long as `line-bytes-max` can be anywhere.
const WORDS_BYTES_MAX: usize = 64 * 1024;

/// What other nodes call an operator's name for a node, at most.
const LABEL_BYTES_MAX: usize = 256;

/// One process of those that share a chat, from its start or the last verdict on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u64);

impl NodeId {
    /// The node with these random bits.
    pub(crate) fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// The node that eleven characters name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 8];
        let len = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (len == bytes.len()).then_some(Self(u64::from_be_bytes(bytes)))
    }
}

/// Eleven characters.
impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.to_be_bytes()))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Somebody as their node knows them: the number of their session there, and their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) session: u64,
    pub(crate) name: Name,
}

/// The number of their session, and their name.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}", self.session, self.name)
    }
}

/// A room, or nothing for none.
fn or_none(room: Option<&RoomName>) -> &str {
    room.map_or("", RoomName::text)
}

/// How something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Said,
    Did,
    /// No program is to answer it.
    Noticed,
}

/// The SHA-256 of what opens a room.
pub(crate) type Digest = [u8; 32];

/// What happened at a node. A room that is none is that of somebody who is in no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Say {
        room: RoomName,
        who: Who,
        words: Box<str>,
        manner: Manner,
    },
    Join {
        room: Option<RoomName>,
        who: Who,
        /// Where they got their name, if that was earlier.
        named: Option<Id>,
    },
    /// From one room to another; with words, which may be empty, if it is to none.
    Move {
        room: Option<RoomName>,
        who: Who,
        to: Option<RoomName>,
        words: Box<str>,
    },
    /// They have left the server, with these words, which may be empty.
    Left {
        room: Option<RoomName>,
        who: Who,
        words: Box<str>,
    },
    /// They want this name.
    Claim {
        who: Who,
    },
    /// They have another name.
    Name {
        room: Option<RoomName>,
        who: Who,
        before: Name,
        /// Where, once it stands in the log.
        named: Option<Id>,
    },
    Away {
        session: u64,
        why: Box<str>,
    },
    Back {
        session: u64,
    },
    /// The room has a key, which makes this digest; the next who goes there makes the room.
    Open {
        room: RoomName,
        digest: Digest,
    },
    /// The node has come.
    Up {
        version: Box<str>,
        label: Box<str>,
    },
    /// The node stops: all its people have left.
    Down,
    /// This node was silent for too long: all its people have left.
    Dead(NodeId),
    /// To a session of the node in whose stream it is.
    Message {
        to: u64,
        from: Who,
        words: Box<str>,
        is_notice: bool,
        /// What the receiver was called when it was written.
        name: Box<str>,
    },
    /// A message to this name came too late for its author, who has this session.
    Gone {
        from: u64,
        name: Box<str>,
    },
}

/// Why an event is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// A newer node may know it.
    Unknown,
    /// It has lost or false fields.
    Malformed,
}

impl Event {
    /// Whether it is something that somebody said, and not a fact that others rely on.
    pub(crate) fn is_said(&self) -> bool {
        matches!(
            self,
            Self::Say { .. } | Self::Message { .. } | Self::Gone { .. }
        )
    }

    /// As it stands in the log.
    pub(crate) fn encode(&self) -> String {
        let text = match self {
            Self::Say {
                room,
                who,
                words,
                manner,
            } => {
                let (kind, behind) = match manner {
                    Manner::Said => ("say", ""),
                    Manner::Did => ("act", ""),
                    Manner::Noticed => ("say", "\tnotice"),
                };
                format!("{kind}\t{room}\t{who}\t{words}{behind}")
            }
            Self::Join { room, who, named } => {
                let named = named.map_or_else(String::new, |named| format!("\t{named}"));
                format!("join\t{}\t{who}{named}", or_none(room.as_ref()))
            }
            Self::Move {
                room,
                who,
                to,
                words,
            } => {
                let (room, to) = (or_none(room.as_ref()), or_none(to.as_ref()));
                format!("move\t{room}\t{who}\t{to}\t{words}")
            }
            Self::Left { room, who, words } => {
                format!("left\t{}\t{who}\t{words}", or_none(room.as_ref()))
            }
            Self::Claim { who } => format!("claim\t{who}"),
            Self::Name {
                room, who, before, ..
            } => {
                let Who { session, name } = who;
                format!(
                    "name\t{}\t{session}\t{before}\t{name}",
                    or_none(room.as_ref())
                )
            }
            Self::Away { session, why } => return format!("away\t{session}\t{why}"),
            Self::Back { session } => format!("back\t{session}"),
            Self::Open { room, digest } => format!("open\t{room}\t{}", hex(digest)),
            Self::Up { version, label } => format!("up\t{version}\t{label}"),
            Self::Down => "down".to_owned(),
            Self::Dead(node) => format!("dead\t{node}"),
            Self::Message {
                to,
                from,
                words,
                is_notice,
                name,
            } => {
                let notice = if *is_notice { "notice" } else { "" };
                format!("msg\t{to}\t{from}\t{words}\t{notice}\t{name}")
            }
            Self::Gone { from, name } => format!("gone\t{from}\t{name}"),
        };
        // Words that are none have no field.
        text.strip_suffix('\t')
            .map_or_else(|| text.clone(), str::to_owned)
    }

    /// The event that stands in the log so. Further fields are passed over.
    ///
    /// # Errors
    /// If it is of a kind that this node does not know, or is none.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Unread> {
        let text = std::str::from_utf8(bytes).map_err(|_| Unread::Malformed)?;
        let mut fields = Fields(text.split('\t'));
        let kind = fields.next().ok_or(Unread::Malformed)?;
        Self::parse_fields(kind, &mut fields).ok_or_else(|| {
            let is_known = KINDS.contains(&kind);
            if is_known {
                Unread::Malformed
            } else {
                Unread::Unknown
            }
        })
    }

    fn parse_fields(kind: &str, fields: &mut Fields<'_>) -> Option<Self> {
        Some(match kind {
            "say" | "act" => Self::Say {
                room: fields.room()??,
                who: fields.who()?,
                words: fields.words().filter(|words| !words.is_empty())?,
                manner: match (kind, fields.next()) {
                    ("act", _) => Manner::Did,
                    (_, Some("notice")) => Manner::Noticed,
                    _ => Manner::Said,
                },
            },
            "join" => Self::Join {
                room: fields.room()?,
                who: fields.who()?,
                named: fields.next().and_then(Id::parse),
            },
            "move" => Self::Move {
                room: fields.room()?,
                who: fields.who()?,
                to: fields.room()?,
                words: fields.words().unwrap_or_default(),
            },
            "left" => Self::Left {
                room: fields.room()?,
                who: fields.who()?,
                words: fields.words().unwrap_or_default(),
            },
            "claim" => Self::Claim { who: fields.who()? },
            "name" => {
                let (room, session) = (fields.room()?, fields.number()?);
                let (before, name) = (fields.name()?, fields.name()?);
                let who = Who { session, name };
                Self::Name {
                    room,
                    who,
                    before,
                    named: None,
                }
            }
            "away" => Self::Away {
                session: fields.number()?,
                why: fields.words().unwrap_or_default(),
            },
            "back" => Self::Back {
                session: fields.number()?,
            },
            "open" => Self::Open {
                room: fields.room()??,
                digest: fields.next().and_then(parse_digest)?,
            },
            "up" => Self::Up {
                version: fields.label()?,
                label: fields.label()?,
            },
            "down" => Self::Down,
            "dead" => Self::Dead(fields.next().and_then(NodeId::parse)?),
            "msg" => Self::Message {
                to: fields.number()?,
                from: fields.who()?,
                words: fields.words().filter(|words| !words.is_empty())?,
                is_notice: fields.next() == Some("notice"),
                name: fields.name().map_or("".into(), |name| name.text().into()),
            },
            "gone" => Self::Gone {
                from: fields.number()?,
                name: fields.name()?.text().into(),
            },
            _ => return None,
        })
    }
}

/// The kinds of events that there are.
const KINDS: &[&str] = &[
    "say", "act", "join", "move", "left", "claim", "name", "away", "back", "open", "up", "down",
    "dead", "msg", "gone",
];

/// The fields of an event that are still to be read.
struct Fields<'a>(std::str::Split<'a, char>);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    fn number(&mut self) -> Option<u64> {
        self.next()?.parse().ok()
    }

    /// A name as a server would write it, and not another spelling of it.
    fn name(&mut self) -> Option<Name> {
        let text = self.next()?;
        Name::parse_held(text).filter(|name| name.text() == text)
    }

    fn who(&mut self) -> Option<Who> {
        let session = self.number()?;
        let name = self.name()?;
        Some(Who { session, name })
    }

    /// The same for a room; `Some(None)` for none.
    #[allow(
        clippy::option_option,
        reason = "the field may be missing, or say that there is none"
    )]
    fn room(&mut self) -> Option<Option<RoomName>> {
        match self.next()? {
            "" => Some(None),
            text => {
                let room = RoomName::parse(text).ok()?;
                (room.text() == text).then_some(Some(room))
            }
        }
    }

    fn words(&mut self) -> Option<Box<str>> {
        let text = self.next().filter(|text| text.len() <= WORDS_BYTES_MAX)?;
        Some(hygiene::clean(text.as_bytes()).text.into())
    }

    fn label(&mut self) -> Option<Box<str>> {
        self.words().filter(|label| label.len() <= LABEL_BYTES_MAX)
    }
}

/// A digest as it is written.
pub(crate) fn hex(digest: &Digest) -> String {
    let digits = |byte: u8| [byte >> 4, byte & 15];
    let digits = digest.iter().flat_map(|byte| digits(*byte));
    let digit = |digit| char::from_digit(u32::from(digit), 16);
    digits.filter_map(digit).collect()
}

/// The digest that is written so.
pub(crate) fn parse_digest(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if text.len() != 2 * digest.len() || !text.is_ascii() {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(digest)
}

/// A person in the hash of their node: NAME, ROOM, DIGEST of the room's key, the entry of the log in which they got their
/// name, and why they are away if they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) who: Who,
    pub(crate) room: Option<RoomName>,
    pub(crate) digest: Option<Digest>,
    /// The entry of the log in which they got their name, once that has come back.
    pub(crate) named: Option<Id>,
    pub(crate) away: Option<Box<str>>,
}

impl Entry {
    /// Its value in the hash.
    pub(crate) fn encode(&self) -> String {
        let room = self.room.as_ref().map_or("", RoomName::text);
        let digest = self.digest.as_ref().map_or_else(String::new, hex);
        let named = self
            .named
            .map_or_else(String::new, |named| named.to_string());
        let mut value = format!("{}\t{room}\t{digest}\t{named}", self.who.name);
        if let Some(away) = &self.away {
            value.push('\t');
            value.push_str(away);
        }
        value
    }

    /// The person of this session.
    pub(crate) fn parse(session: &str, value: &str) -> Option<Self> {
        let mut fields = Fields(value.split('\t'));
        let name = fields.name()?;
        let room = fields.room()?;
        let digest = fields.next().unwrap_or_default();
        let digest = match digest {
            "" => None,
            digest => Some(parse_digest(digest)?),
        };
        let named = fields.next().and_then(Id::parse);
        Some(Self {
            who: Who {
                session: session.parse().ok()?,
                name,
            },
            room,
            digest,
            named,
            away: fields.words(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn who(session: u64, name: &str) -> Who {
        let name = Name::parse_held(name).unwrap();
        Who { session, name }
    }

    fn room(name: &str) -> RoomName {
        RoomName::parse(name).unwrap()
    }

    #[allow(clippy::too_many_lines, reason = "it is a table")]
    fn each() -> Vec<(Event, &'static str)> {
        let said = |manner| Event::Say {
            room: room("lobby"),
            who: who(7, "ann"),
            words: "hello you".into(),
            manner,
        };
        let moved = |to: &str, words: &str| Event::Move {
            room: Some(room("lobby")),
            who: who(7, "ann"),
            to: (!to.is_empty()).then(|| room(to)),
            words: words.into(),
        };
        let left = |words: &str| Event::Left {
            room: None,
            who: who(7, "guest12"),
            words: words.into(),
        };
        let message = |is_notice| Event::Message {
            to: 8,
            from: who(7, "ann"),
            words: "psst".into(),
            is_notice,
            name: "bob".into(),
        };
        let digest = [0xab; 32];
        vec![
            (said(Manner::Said), "say\tlobby\t7\tann\thello you"),
            (said(Manner::Did), "act\tlobby\t7\tann\thello you"),
            (
                said(Manner::Noticed),
                "say\tlobby\t7\tann\thello you\tnotice",
            ),
            (
                Event::Join {
                    room: Some(room("games")),
                    who: who(1, "好"),
                    named: None,
                },
                "join\tgames\t1\t好",
            ),
            (
                Event::Join {
                    room: None,
                    who: who(1, "ann"),
                    named: Id::parse("5-1"),
                },
                "join\t\t1\tann\t5-1",
            ),
            (moved("games", ""), "move\tlobby\t7\tann\tgames"),
            (moved("", "so long"), "move\tlobby\t7\tann\t\tso long"),
            (left(""), "left\t\t7\tguest12"),
            (left("bye"), "left\t\t7\tguest12\tbye"),
            (
                Event::Claim {
                    who: who(7, "cleo"),
                },
                "claim\t7\tcleo",
            ),
            (
                Event::Name {
                    room: Some(room("lobby")),
                    who: who(7, "cleo"),
                    before: Name::guest(7),
                    named: None,
                },
                "name\tlobby\t7\tguest7\tcleo",
            ),
            (
                Event::Away {
                    session: 7,
                    why: "".into(),
                },
                "away\t7\t",
            ),
            (Event::Back { session: 7 }, "back\t7"),
            (
                Event::Open {
                    room: room("games"),
                    digest,
                },
                "open\tgames\tabababababababababababababababababababababababababababababababab",
            ),
            (
                Event::Up {
                    version: "0.1.0".into(),
                    label: "a b".into(),
                },
                "up\t0.1.0\ta b",
            ),
            (Event::Down, "down"),
            (Event::Dead(NodeId::new(1)), "dead\tAAAAAAAAAAE"),
            (message(false), "msg\t8\t7\tann\tpsst\t\tbob"),
            (message(true), "msg\t8\t7\tann\tpsst\tnotice\tbob"),
            (
                Event::Gone {
                    from: 7,
                    name: "bob".into(),
                },
                "gone\t7\tbob",
            ),
        ]
    }

    #[test]
    fn each_event_is_read_as_it_is_written_and_further_fields_are_passed_over() {
        for (event, text) in each() {
            assert_eq!(event.encode(), text);
            assert_eq!(Event::parse(text.as_bytes()), Ok(event.clone()), "{text}");
            let longer = format!("{text}\tnew\tnewer");
            let is_free =
                !text.ends_with("bye") && !text.contains("left") && !text.contains("move");
            if is_free
                && !text.starts_with("away")
                && !text.starts_with("say")
                && !text.starts_with("msg")
            {
                assert_eq!(Event::parse(longer.as_bytes()), Ok(event), "{longer}");
            }
            let kind = text.split('\t').next().unwrap();
            assert!(KINDS.contains(&kind), "{kind}");
        }
        assert_eq!(Event::parse(b"wave\tlobby"), Err(Unread::Unknown));
    }

    #[test]
    fn what_comes_is_looked_at_as_typed_lines_are() {
        let malformed = |text: &str| Event::parse(text.as_bytes()) == Err(Unread::Malformed);
        assert!(malformed("say\tlobby\t7\tann"));
        assert!(malformed("say\t\t7\tann\thello"));
        assert!(malformed("say\tlobby\tx\tann\thello"));
        assert!(malformed("say\tlobby\t7\ta nn\thello"));
        assert!(malformed("say\tlobby\t7\tann\t\x1b"));
        assert!(malformed("join\tlo bby\t7\tann"));
        assert!(malformed("join\t#lobby\t7\tann"));
        assert!(malformed("join\tlobby\t7\tguest007"));
        assert!(malformed("dead\tx"));
        assert!(malformed("open\tgames\tab"));
        let longer = "x".repeat(WORDS_BYTES_MAX + 1);
        assert!(malformed(&format!("say\tlobby\t7\tann\t{longer}")));
        assert_eq!(
            Event::parse(b"say\tlobby\t7\tann\t\xff"),
            Err(Unread::Malformed)
        );
        let cleaned = Event::parse(b"say\tlobby\t7\tann\ta\x1b[31mb").unwrap();
        let Event::Say { words, .. } = cleaned else {
            panic!("{cleaned:?}");
        };
        assert!(!words.contains('\x1b'), "{words:?}");
    }

    #[test]
    fn a_person_is_read_from_the_hash_as_they_were_written() {
        for (room_name, digest, named, away) in [
            (Some("games"), Some([7; 32]), Some("5-1"), None),
            (Some("lobby"), None, None, Some("lunch")),
            (None, None, Some("0-7"), Some("")),
        ] {
            let entry = Entry {
                who: who(7, "ann"),
                room: room_name.map(room),
                digest,
                named: named.and_then(Id::parse),
                away: away.map(Into::into),
            };
            let value = entry.encode();
            assert_eq!(Entry::parse("7", &value), Some(entry), "{value}");
        }
        assert_eq!(Entry::parse("x", "ann\tlobby\t\t"), None);
        assert_eq!(Entry::parse("7", "a nn\tlobby\t\t"), None);
    }

    #[test]
    fn a_node_has_eleven_characters() {
        for bits in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let node = NodeId::new(bits);
            let text = node.to_string();
            assert_eq!((text.len(), NodeId::parse(&text)), (11, Some(node)));
        }
        assert_eq!(NodeId::parse("short"), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(event) = Event::parse(&bytes) {
                prop_assert_eq!(Event::parse(event.encode().as_bytes()), Ok(event));
            }
        }

        #[test]
        fn all_words_that_can_be_typed_come_as_they_were(line in "\\PC{1,60}") {
            let words: Box<str> = hygiene::clean(line.as_bytes()).text.into();
            prop_assume!(!words.is_empty());
            let who = who(7, "ann");
            let event = Event::Say { room: room("lobby"), who, words, manner: Manner::Did };
            prop_assert_eq!(Event::parse(event.encode().as_bytes()), Ok(event));
        }
    }
}
