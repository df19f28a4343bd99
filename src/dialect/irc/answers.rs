//! Answers to what only IRC clients ask: who, where, how many.

use crate::dialect::directory::{Directory, Person};
use crate::dialect::event::Listed;
use crate::dialect::irc::codec::Codec;
use crate::dialect::irc::format::pieces;
use crate::dialect::irc::question::{Query, Question};
use crate::when::MomentForPeople;

/// At most this many people are listed by one WHO or NAMES.
const PEOPLE_MAX: usize = 1000;

/// At most this many rooms are listed by one LIST.
const ROOMS_MAX: usize = 1000;

/// At most this many names are looked up for one ISON or USERHOST.
const LOOK_UPS_MAX: usize = 20;

/// At most this many tokens stand in one line of 005.
const TOKENS_MAX: usize = 13;

/// A longer mask fits nobody, so that comparing it with everybody has a bound.
const MASK_CHARACTERS_MAX: usize = 32;

/// A line of the message of the day is cut into pieces of this many bytes.
const MOTD_PIECE_BYTES: usize = 300;

/// What the server can, for its clients (005).
const SUPPORT: &str =
    "NETWORK=chatd CASEMAPPING=ascii UTF8ONLY CHANTYPES=# CHANLIMIT=#:1 CHANMODES=b,k,,n \
    PREFIX=(ov)@+ NICKLEN=24 CHANNELLEN=25 TOPICLEN=0 AWAYLEN=390 KICKLEN=390 \
    TARGMAX=PRIVMSG:1,NOTICE:1,JOIN:,PART:,KICK:1,NAMES:1";

impl Codec {
    /// Adds the answer to a question.
    pub(in crate::dialect) fn answer(
        &self,
        question: Question<'_>,
        directory: &dyn Directory,
        out: &mut Vec<u8>,
    ) {
        let (me, about) = (&self.me, question.about);
        match question.query {
            Query::Greeting => self.greet(directory, out),
            Query::Lusers => self.lusers(directory, out),
            Query::Motd => self.motd(directory, out),
            Query::Names => self.tell_names(about, directory, out),
            Query::Who { operators } => self.who(about, operators, directory, out),
            Query::Whois => self.whois(about, directory, out),
            Query::List => self.list(about, directory, out),
            Query::ModeOfRoom => match directory.room(about) {
                Some(room) if about.starts_with('#') => {
                    me.numeric(out, 324, format_args!("#{room} +n"));
                    me.numeric(out, 329, format_args!("#{room} {}", directory.began()));
                }
                _ => self.no_such_channel(about, out),
            },
            Query::Topic => match directory.room(about) {
                Some(room) if about.starts_with('#') => {
                    me.numeric(out, 331, format_args!("#{room} :No topic is set"));
                }
                _ => self.no_such_channel(about, out),
            },
            Query::Outside(code) => match directory.room(about) {
                Some(_) if about.starts_with('#') => {
                    let why = match code {
                        404 => "Cannot send to channel: you are not in it",
                        _ => "You're not on that channel",
                    };
                    me.numeric(out, code, format_args!("{about:.60} :{why}"));
                }
                _ => self.no_such_channel(about, out),
            },
            Query::Ison => {
                let found = look_up(about, directory).map(|person| person.name.to_string());
                let found: Vec<String> = found.collect();
                me.numeric(out, 303, format_args!(":{}", found.join(" ")));
            }
            Query::Userhost => {
                let shown = look_up(about, directory).take(5).map(|person| {
                    let sign = if person.away.is_some() { '-' } else { '+' };
                    let op = if person.op { "*" } else { "" };
                    format!("{}{op}={sign}{}@chatd", person.name, person.user)
                });
                let shown: Vec<String> = shown.collect();
                me.numeric(out, 302, format_args!(":{}", shown.join(" ")));
            }
        }
    }

    fn no_such_channel(&self, room: &str, out: &mut Vec<u8>) {
        self.me
            .numeric(out, 403, format_args!("{room:.60} :No such channel"));
    }

    fn greet(&self, directory: &dyn Directory, out: &mut Vec<u8>) {
        let me = &self.me;
        let (server, nick, user) = (&me.server, &me.nick, &me.user);
        let version = env!("CARGO_PKG_VERSION");
        me.numeric(
            out,
            1,
            format_args!(":Welcome to chatd, {nick}!{user}@chatd"),
        );
        me.numeric(
            out,
            2,
            format_args!(":Your host is {server}, running chatd {version}"),
        );
        let began = MomentForPeople(directory.began());
        me.numeric(out, 3, format_args!(":This server was started {began}"));
        me.numeric(out, 4, format_args!("{server} chatd-{version} i bkn bk"));
        let tokens = SUPPORT.split_ascii_whitespace().map(str::to_owned);
        let tail = " :are supported by this server";
        me.list(out, format_args!("005 {nick} "), tokens, TOKENS_MAX, tail);
        self.lusers(directory, out);
        self.motd(directory, out);
    }

    fn lusers(&self, directory: &dyn Directory, out: &mut Vec<u8>) {
        let (me, totals) = (&self.me, directory.totals());
        let (people, most) = (totals.people, totals.most.max(totals.people));
        let (hidden, shown) = (totals.hidden, people - totals.hidden);
        let there = format_args!(":There are {shown} users and {hidden} invisible on 1 servers");
        me.numeric(out, 251, there);
        let (operators, unregistered) = (totals.operators, totals.unregistered);
        me.numeric(out, 252, format_args!("{operators} :operator(s) online"));
        me.numeric(
            out,
            253,
            format_args!("{unregistered} :unknown connection(s)"),
        );
        me.numeric(out, 254, format_args!("{} :channels formed", totals.rooms));
        me.numeric(
            out,
            255,
            format_args!(":I have {people} clients and 0 servers"),
        );
        let local = "Current local users";
        me.numeric(
            out,
            265,
            format_args!("{people} {most} :{local} {people}, max {most}"),
        );
        let global = "Current global users";
        me.numeric(
            out,
            266,
            format_args!("{people} {most} :{global} {people}, max {most}"),
        );
    }

    fn motd(&self, directory: &dyn Directory, out: &mut Vec<u8>) {
        let me = &self.me;
        me.numeric(
            out,
            375,
            format_args!(":- {} Message of the day - ", me.server),
        );
        me.numeric(
            out,
            372,
            format_args!(":- The room is #lobby: /join #lobby"),
        );
        if directory.is_recorded() {
            me.numeric(
                out,
                372,
                format_args!(":- what is said in rooms without a key is recorded"),
            );
        }
        for line in directory.motd() {
            for piece in pieces(line, MOTD_PIECE_BYTES) {
                me.numeric(out, 372, format_args!(":- {piece}"));
            }
        }
        me.numeric(out, 376, format_args!(":End of /MOTD command"));
    }

    fn tell_names(&self, about: &str, directory: &dyn Directory, out: &mut Vec<u8>) {
        let room = match (about, self.room.as_deref()) {
            ("" | "*", Some(own)) => own,
            ("" | "*", None) => {
                return self
                    .me
                    .numeric(out, 366, format_args!("* :End of /NAMES list"));
            }
            (about, _) => match about.split(',').next().and_then(|it| it.strip_prefix('#')) {
                Some(room) => directory.room(room).unwrap_or(room),
                None => {
                    return self.me.numeric(
                        out,
                        366,
                        format_args!("{about:.60} :End of /NAMES list"),
                    )
                }
            },
        };
        let mut names = Vec::new();
        directory.each_in(room, &mut |person| {
            names.push(self.listed(&Listed {
                name: person.name,
                user: person.user,
                away: person.away.is_some(),
                op: person.op,
                unreachable: false,
            }));
            names.len() < PEOPLE_MAX
        });
        let head = format_args!("353 {} = #{room} :", self.me.nick);
        self.me.list(out, head, names.into_iter(), usize::MAX, "");
        self.end_of_names(room, out);
    }

    fn who(&self, about: &str, operators: bool, directory: &dyn Directory, out: &mut Vec<u8>) {
        let is_of_all = matches!(about, "" | "*" | "0");
        let is_mask = about.contains(['*', '?']);
        let mut count = 0;
        let mut tell = |person: &Person<'_>, out: &mut Vec<u8>| {
            if operators && !person.op {
                return true;
            }
            count += 1;
            // Of a room that was not asked for it is not told who is in it.
            let room = about.strip_prefix('#').and(person.room);
            let room = room.map_or_else(|| "*".to_owned(), |room| format!("#{room}"));
            let here = if person.away.is_some() { 'G' } else { 'H' };
            let op = if person.op { "@" } else { "" };
            let Person {
                name, user, real, ..
            } = person;
            let server = &self.me.server;
            let who = format_args!("{room} {user} chatd {server} {name} {here}{op} :0 {real}");
            self.me.numeric(out, 352, who);
            count < PEOPLE_MAX
        };
        if let Some(room) = about.strip_prefix('#') {
            directory.each_in(room, &mut |person| tell(person, out));
        } else if is_of_all || is_mask {
            let mask: Vec<char> = about.to_lowercase().chars().collect();
            directory.each_person(&mut |person| {
                let is_me = person.name.text() == *self.me.nick;
                let fits = || {
                    let name: Vec<char> = person.name.text().to_lowercase().chars().collect();
                    fits_mask(&name, &mask)
                };
                let shares_room = person.room.is_some() && person.room == self.room.as_deref();
                let is_hidden = person.is_hidden && !is_me && (is_of_all || !shares_room);
                if is_hidden || !(is_of_all || fits()) {
                    return true;
                }
                tell(person, out)
            });
        } else if let Some(person) = directory.person(about) {
            tell(&person, out);
        }
        let about = if about.is_empty() { "*" } else { about };
        self.me
            .numeric(out, 315, format_args!("{about:.60} :End of /WHO list"));
    }

    fn whois(&self, about: &str, directory: &dyn Directory, out: &mut Vec<u8>) {
        let me = &self.me;
        let about = about.split(',').next().unwrap_or_default();
        match directory.person(about) {
            None => me.numeric(
                out,
                401,
                format_args!("{about:.60} :nobody here is called {about:.60}"),
            ),
            Some(person) => {
                let (name, user) = (person.name, person.user);
                me.numeric(
                    out,
                    311,
                    format_args!("{name} {user} chatd * :{}", person.real),
                );
                if let Some(room) = person.room {
                    let op = if person.op { "@" } else { "" };
                    me.numeric(out, 319, format_args!("{name} :{op}#{room}"));
                }
                me.numeric(out, 312, format_args!("{name} {} :chatd", me.server));
                if let Some(reason) = person.away {
                    me.numeric(out, 301, format_args!("{name} :{reason}"));
                }
                let (silent, since) = (person.silent.as_secs(), person.since);
                let what = "seconds idle, signon time";
                me.numeric(out, 317, format_args!("{name} {silent} {since} :{what}"));
            }
        }
        me.numeric(out, 318, format_args!("{about:.60} :End of /WHOIS list"));
    }

    fn list(&self, about: &str, directory: &dyn Directory, out: &mut Vec<u8>) {
        let me = &self.me;
        me.numeric(out, 321, format_args!("Channel :Users  Name"));
        let asked: Vec<String> = about
            .split(',')
            .take(LOOK_UPS_MAX)
            .filter_map(|it| it.strip_prefix('#'))
            .map(str::to_lowercase)
            .collect();
        let mut count = 0;
        directory.each_room(&mut |room, here| {
            if asked.is_empty() || asked.contains(&room.to_lowercase()) {
                me.numeric(out, 322, format_args!("#{room} {here} :"));
                count += 1;
            }
            count < ROOMS_MAX
        });
        me.numeric(out, 323, format_args!(":End of /LIST"));
    }
}

/// Those of these names who are there.
fn look_up<'a>(
    names: &'a str,
    directory: &'a dyn Directory,
) -> impl Iterator<Item = Person<'a>> + 'a {
    let names = names.split_ascii_whitespace().take(LOOK_UPS_MAX);
    names.filter_map(|name| directory.person(name))
}

/// Whether a name fits a mask in which `*` stands for any characters and `?` for one.
fn fits_mask(name: &[char], mask: &[char]) -> bool {
    if mask.len() > MASK_CHARACTERS_MAX {
        return false;
    }
    let (mut at, mut of_mask, mut star) = (0, 0, None);
    while at < name.len() {
        match mask.get(of_mask) {
            Some('*') => {
                star = Some((of_mask, at));
                of_mask += 1;
            }
            Some(c) if *c == '?' || *c == name[at] => {
                (at, of_mask) = (at + 1, of_mask + 1);
            }
            _ => {
                let Some((place, begin)) = star else {
                    return false;
                };
                (of_mask, at) = (place + 1, begin + 1);
                star = Some((place, at));
            }
        }
    }
    mask[of_mask..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_have_stars_and_question_marks() {
        let fits = |name: &str, mask: &str| {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            fits_mask(&chars(name), &chars(mask))
        };
        for (name, mask) in [
            ("ann", "*"),
            ("ann", "a*"),
            ("ann", "?n?"),
            ("罗永浩", "罗*浩"),
            ("aXbXc", "*X*c"),
        ] {
            assert!(fits(name, mask), "{name} {mask}");
        }
        for (name, mask) in [
            ("ann", "b*"),
            ("ann", "a?"),
            ("ann", ""),
            ("ann", "*x"),
            ("", "?"),
        ] {
            assert!(!fits(name, mask), "{name} {mask}");
        }
    }
}
