//! What one client alone is told: numerics where there is one, else a NOTICE of the server.

use crate::dialect::event::{Arrived, Farewell, Here, Listed, Note, Past, Reply, To};
use crate::dialect::irc::codec::{Asked, Codec};
use crate::dialect::irc::lines::{put, put_words, Caps, Me};
use crate::dialect::request::Refusal;
use crate::ledger::CloseReason;
use crate::name::Name;
use crate::when::{Day, Moment};

impl Codec {
    /// Adds what this session alone is told; nothing where its client needs no word of it.
    pub(in crate::dialect) fn encode_reply(&self, reply: &Reply<'_>, to: &To, out: &mut Vec<u8>) {
        let me = &self.me;
        match *reply {
            Reply::Arrived(ref arrived) => self.encode_arrival(arrived, out),
            Reply::Note(note) => self.encode_note(&note, out),
            Reply::Told {
                from,
                user,
                words,
                notice,
            } => {
                let verb = if notice { "NOTICE" } else { "PRIVMSG" };
                let prefix = format!(":{from}!{user}@chatd {verb} {} :", me.nick);
                self.private(to, &prefix, words, out);
            }
            Reply::YouTold { to: name, words } if me.caps.has(Caps::ECHO) => {
                let verb = if self.asked.is_notice() {
                    "NOTICE"
                } else {
                    "PRIVMSG"
                };
                let prefix = format!(":{}!{}@chatd {verb} {name} :", me.nick, me.user);
                self.private(to, &prefix, words, out);
            }
            Reply::Refused(refusal) => self.encode_refusal(refusal, out),
            Reply::Farewell(farewell) => encode_farewell(farewell, out),
            Reply::Here(ref here) => me.notice(out, &here.to_string()),
            Reply::Rooms(ref rooms) => me.notice(out, &rooms.to_string()),
            Reply::YouTold { .. }
            | Reply::YouDid { .. }
            | Reply::Past(_)
            | Reply::Gap
            | Reply::Watching(_) => {}
        }
    }

    /// Private words, which are an action if they begin with `/me`, as people elsewhere type it.
    fn private(&self, to: &To, prefix: &str, words: &str, out: &mut Vec<u8>) {
        let time = self.me.caps.has(Caps::TIME).then_some(to.wall_seconds);
        match words.strip_prefix("/me ") {
            Some(action) => put_words(out, time, prefix, true, action),
            None => put_words(out, time, prefix, false, words),
        }
    }

    /// The client is in a room, and is told who is there.
    fn encode_arrival(&self, arrived: &Arrived<'_>, out: &mut Vec<u8>) {
        let Arrived { room, here, .. } = arrived;
        self.me.by_me(out, format_args!("JOIN #{room}"));
        self.names(&room.to_string(), here, out);
        self.end_of_names(&room.to_string(), out);
    }

    /// Adds who is in a room, without the end of the list.
    fn names(&self, room: &str, here: &Here<'_>, out: &mut Vec<u8>) {
        let names = here.listed.iter().map(|listed| self.listed(listed));
        let head = format_args!("353 {} = #{room} :", self.me.nick);
        self.me.list(out, head, names, usize::MAX, "");
    }

    /// How somebody stands in a list of names.
    pub(super) fn listed(&self, listed: &Listed<'_>) -> String {
        let sign = if listed.op { "@" } else { "" };
        if self.me.caps.has(Caps::USERHOST) {
            return format!("{sign}{}!{}@chatd", listed.name, listed.user);
        }
        format!("{sign}{}", listed.name)
    }

    pub(super) fn end_of_names(&self, room: &str, out: &mut Vec<u8>) {
        let me = &self.me;
        me.numeric(out, 366, format_args!("#{room:.60} :End of /NAMES list"));
    }

    fn encode_note(&self, note: &Note<'_>, out: &mut Vec<u8>) {
        let me = &self.me;
        match *note {
            Note::Moved { from, .. } => me.by_me(out, format_args!("PART #{from}")),
            Note::RoomClosed { room, .. } => {
                me.notice(out, &note.to_string());
                me.by_me(out, format_args!("PART #{room}"));
            }
            Note::Parted { room, words: "" } => me.by_me(out, format_args!("PART #{room}")),
            Note::Parted { room, words } => {
                me.by_me(out, format_args!("PART #{room} :{words}"));
            }
            Note::Away(true) => me.numeric(
                out,
                306,
                format_args!(":You have been marked as being away"),
            ),
            Note::Away(false) => {
                me.numeric(
                    out,
                    305,
                    format_args!(":You are no longer marked as being away"),
                );
            }
            Note::IsAway { .. } if self.asked.is_notice() => {}
            Note::IsAway { name, reason } => me.numeric(out, 301, format_args!("{name} :{reason}")),
            // The line that renames them has told it.
            Note::YouAre(_) | Note::Earlier | Note::Now => {}
            // `/name` and `/keep` are words to chatd here.
            Note::Kept { name, key, lasts } => {
                let while_it_runs = if lasts { "" } else { " while this server runs" };
                let takes = format!("/msg chatd name {name} {key}");
                let words = "takes it; write that down, it is shown once";
                me.notice(
                    out,
                    &format!("{name} is yours{while_it_runs}: {takes} {words}"),
                );
            }
            ref note => me.notice(out, &note.to_string()),
        }
    }

    /// Why something was not done: by the numeric that fits what was asked for.
    fn encode_refusal(&self, refusal: &Refusal, out: &mut Vec<u8>) {
        let me = &self.me;
        // A NOTICE is never answered with an error.
        if self.asked.is_notice() {
            return;
        }
        let what = &*self.about;
        match (refusal, self.asked) {
            (Refusal::InRoomAlready(_) | Refusal::InLobbyAlready, Asked::Join | Asked::Part) => {}
            (Refusal::KeyWanted(_) | Refusal::WrongKey(_), Asked::Join) => {
                me.numeric(
                    out,
                    475,
                    format_args!("{what:.60} :Cannot join channel (+k) - {refusal}"),
                );
            }
            (Refusal::TooManyRooms(_) | Refusal::NoRoomsMade, Asked::Join) => {
                me.numeric(out, 405, format_args!("{what:.60} :{refusal}"));
            }
            (Refusal::Muted { .. }, Asked::Say) => {
                me.numeric(out, 404, format_args!("{what:.60} :{refusal}"));
            }
            // An operator may have done that meanwhile, whatever was asked for last.
            (Refusal::Muted { .. }, _) => me.notice(out, &refusal.to_string()),
            (_, Asked::Join) => me.numeric(out, 403, format_args!("{what:.60} :{refusal}")),
            (Refusal::Nobody(name) | Refusal::Unreachable(name), _) => {
                me.numeric(out, 401, format_args!("{name:.60} :{refusal}"));
            }
            (Refusal::NoText, _) => me.numeric(out, 412, format_args!(":No text to send")),
            (Refusal::LineTooLong { .. }, _) => me.numeric(out, 417, format_args!(":{refusal}")),
            (Refusal::NoSuchCommand(_), Asked::Kick) => {
                me.numeric(
                    out,
                    482,
                    format_args!("{what:.60} :You're not channel operator"),
                );
            }
            (Refusal::NoSuchRoom(_), _) => {
                me.numeric(out, 403, format_args!("{what:.60} :{refusal}"));
            }
            (_, Asked::Nick) => name_refused(me, out, what, refusal),
            _ => me.notice(out, &refusal.to_string()),
        }
    }

    /// Adds what was said before in the room where it is.
    pub(in crate::dialect) fn encode_history<'a>(
        &self,
        past: impl Iterator<Item = Past<'a>>,
        to: &To,
        out: &mut Vec<u8>,
    ) {
        let room = self.room.as_deref().unwrap_or("lobby");
        for past in past {
            let prefix = format!(":{}!earlier@chatd PRIVMSG #{room} :", past.name);
            if self.me.caps.has(Caps::TIME) {
                put_words(out, Some(past.wall_seconds), &prefix, past.acts, past.words);
                continue;
            }
            let moment = Moment(past.wall_seconds).to_string();
            let is_today = Day::of(past.wall_seconds) == Day::of(to.wall_seconds);
            let (date, time) = (moment.get(5..10), moment.get(11..16));
            let day = date.filter(|_| !is_today).map(|date| format!("{date} "));
            let time = format!("[{}{}] ", day.unwrap_or_default(), time.unwrap_or_default());
            put_words(out, None, &prefix, past.acts, &(time + past.words));
        }
    }

    /// Tells it that it has another name.
    pub(in crate::dialect) fn tell_name(&self, name: &Name, out: &mut Vec<u8>) {
        self.me.by_me(out, format_args!("NICK :{name}"));
    }

    /// Adds the question whether it is still there.
    pub(in crate::dialect) fn ask(&self, out: &mut Vec<u8>) {
        put(out, format_args!("PING :{}", self.me.server));
    }
}

/// Adds why a name cannot be had: 432 if it is none, else 433, with which clients try the next one.
pub(super) fn name_refused(me: &Me, out: &mut Vec<u8>, name: &str, refusal: &Refusal) {
    match refusal {
        Refusal::MalformedName | Refusal::NameTooWide(_) => {
            me.numeric(out, 432, format_args!("{name:.60} :{refusal}"));
        }
        Refusal::Kept(kept) => {
            let takes = format!("/msg chatd name {kept} KEY takes it");
            me.numeric(
                out,
                433,
                format_args!("{name:.60} :{kept} is kept: {takes}"),
            );
        }
        Refusal::Muted { .. } => me.notice(out, &refusal.to_string()),
        refusal => me.numeric(out, 433, format_args!("{name:.60} :{refusal}")),
    }
}

/// Adds why the server closes.
fn encode_farewell(farewell: Farewell<'_>, out: &mut Vec<u8>) {
    if farewell.reason == CloseReason::WrongProtocol {
        return put(out, format_args!("ERROR :this port is for IRC"));
    }
    if let Some(words) = farewell.words() {
        put(out, format_args!("ERROR :{words}"));
    }
}
