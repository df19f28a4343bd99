//! What a client asks for: verbs to requests, and what the dialect answers by itself.

use crate::dialect::commands::{is_key, OPERATOR_COMMANDS};
use crate::dialect::input::{Context, Input};
use crate::dialect::irc::codec::{Asked, Codec};
use crate::dialect::irc::format::{spoken, without_formatting, Spoken};
use crate::dialect::irc::line::{Message, Unclear};
use crate::dialect::irc::question::{Query, Question};
use crate::dialect::request::{Refusal, Request};
use crate::hygiene;
use crate::name::Name;
use crate::room_name::{without_hash, RoomName};
use crate::work::Work;

/// What a line was about is kept up to this many bytes, until the next one.
const ABOUT_BYTES_MAX: usize = 128;

/// Why somebody is away, and why somebody is kicked, is cut to this many bytes.
const REASON_BYTES_MAX: usize = 390;

impl Codec {
    /// Understands a line.
    pub(super) fn understand<'a>(
        &mut self,
        line: &[u8],
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Input<'a> {
        let message = match Message::parse(line) {
            Ok(message) => message,
            Err(Unclear::Blank) => return Input::Blank,
            Err(Unclear::TagsTooLong) => return too_long(line.len(), context),
            Err(Unclear::NotUtf8(verb)) => {
                let verb = verb.to_ascii_uppercase();
                let words = "what you type is not UTF-8 and is not readable here";
                let out = &mut *context.out;
                self.me
                    .by_server(out, format_args!("FAIL {verb:.20} INVALID_UTF8 :{words}"));
                return Input::Answered;
            }
        };
        let verb = message.verb.to_ascii_uppercase();
        let speaks = matches!(&*verb, "PRIVMSG" | "NOTICE");
        let bytes = if speaks {
            message.given(1).map_or(0, str::len)
        } else {
            // Tags may have more.
            line.len()
                .saturating_sub(if line.starts_with(b"@") { 4096 } else { 0 })
        };
        if bytes > context.words_bytes_max {
            return too_long(bytes, context);
        }
        scratch.clear();
        match &*verb {
            "PRIVMSG" => self.speak(&message, false, scratch, context),
            "NOTICE" => self.speak(&message, true, scratch, context),
            "PONG" => Input::Answered,
            "PING" => self.answer_ping(&message, context),
            "JOIN" => self.join(&message, scratch, context),
            "PART" => self.part(&message, scratch, context),
            "NICK" => self.nick(&message, context),
            "QUIT" => {
                scratch.push_str(&fit(message.given(0).unwrap_or_default()));
                Input::Request(Request::Quit(scratch))
            }
            "AWAY" => {
                let reason = fit(message.given(0).unwrap_or_default());
                scratch.push_str(clip(&reason, REASON_BYTES_MAX));
                let away = (!scratch.is_empty()).then_some(&**scratch);
                Input::Request(Request::Away(away))
            }
            "KICK" => self.kick(&message, scratch, context),
            "MODE" => self.mode(&message, scratch, context),
            "CAP" => self.cap(&message, context),
            _ => self.question(&verb, &message, scratch, context),
        }
    }

    /// Adds an answer that is known at once.
    pub(super) fn numeric<'a>(
        &self,
        context: &mut Context<'_>,
        code: u16,
        rest: std::fmt::Arguments<'_>,
    ) -> Input<'a> {
        self.me.numeric(context.out, code, rest);
        Input::Answered
    }

    pub(super) fn too_few<'a>(&self, context: &mut Context<'_>, verb: &str) -> Input<'a> {
        self.me.too_few(context.out, verb);
        Input::Answered
    }

    fn answer_ping<'a>(&self, message: &Message<'_>, context: &mut Context<'_>) -> Input<'a> {
        let Some(token) = message.param(0) else {
            return self.too_few(context, "PING");
        };
        let server = &self.me.server;
        self.me
            .by_server(context.out, format_args!("PONG {server} :{token}"));
        Input::Answered
    }

    fn cap<'a>(&mut self, message: &Message<'_>, context: &mut Context<'_>) -> Input<'a> {
        let Some(subcommand) = message.param(0) else {
            return self.too_few(context, "CAP");
        };
        let before = self.me.caps;
        self.me
            .obey_cap(context.out, subcommand, &message.joined_from(1));
        if self.me.caps == before {
            return Input::Answered;
        }
        Input::Encoding
    }

    /// Notes what is asked for, and about what, for the answer.
    fn note(&mut self, asked: Asked, about: &str) {
        self.asked = asked;
        self.about = clip(about, ABOUT_BYTES_MAX).into();
    }

    /// Whether this is the room that it is in.
    pub(super) fn is_own_room(&self, room: &str) -> bool {
        let own = self.room.as_deref();
        let is_same = |own: &str| own.to_lowercase() == without_hash(room).to_lowercase();
        room.starts_with('#') && own.is_some_and(is_same)
    }

    /// PRIVMSG and NOTICE.
    fn speak<'a>(
        &mut self,
        message: &Message<'_>,
        is_notice: bool,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Input<'a> {
        if is_notice {
            self.asked = Asked::Notice;
        }
        let Some(to) = message.param(0) else {
            if is_notice {
                return Input::Answered;
            }
            return self.numeric(context, 411, format_args!(":No recipient given (PRIVMSG)"));
        };
        let (acts, words) = match spoken(message.given(1).unwrap_or_default()) {
            Spoken::Words(words) => (false, words),
            Spoken::Action(words) => (true, words),
            Spoken::Ctcp => {
                if !is_notice {
                    self.me.notice(context.out, "only /me is passed on");
                }
                return Input::Answered;
            }
        };
        let words = hygiene::clean(words.as_bytes()).text;
        if words.trim().is_empty() {
            return Input::Refused(Refusal::NoText);
        }
        if to.starts_with('#') {
            if !self.is_own_room(to) {
                if is_notice {
                    return Input::Answered;
                }
                return about(Query::Outside(404), to, scratch);
            }
            if !is_notice {
                self.note(Asked::Say, to);
            }
            scratch.push_str(&words);
            return Input::Request(match (acts, is_notice) {
                (true, _) => Request::Act(scratch),
                (false, true) => Request::Notice(scratch),
                (false, false) => Request::Say(scratch),
            });
        }
        if to.eq_ignore_ascii_case("chatd") {
            return self.command_chatd(&words, scratch, context);
        }
        scratch.push_str(to);
        scratch.push_str(if acts { "/me " } else { "" });
        scratch.push_str(&words);
        let (to, words) = scratch.split_at(to.len());
        Input::Request(if is_notice {
            Request::Notify { to, words }
        } else {
            Request::Tell { to, words }
        })
    }

    /// What is said to chatd itself: the commands about names.
    fn command_chatd<'a>(
        &mut self,
        words: &str,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Input<'a> {
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        match (words[0].to_ascii_lowercase().as_str(), &words[1..]) {
            ("name", [name, key]) => match Name::parse_kept(name) {
                Err(error) => Input::Refused(error.into()),
                Ok(name) => {
                    scratch.push_str(key);
                    Input::Request(Request::TakeKept { name, key: scratch })
                }
            },
            ("keep", []) => Input::Request(Request::Keep),
            ("unkeep", []) => Input::Request(Request::Unkeep),
            _ => {
                self.me
                    .notice(context.out, "chatd knows: name NAME KEY, keep, unkeep");
                Input::Answered
            }
        }
    }

    fn nick<'a>(&mut self, message: &Message<'_>, context: &mut Context<'_>) -> Input<'a> {
        let Some(nick) = message.param(0) else {
            return self.numeric(context, 431, format_args!(":No nickname given"));
        };
        self.note(Asked::Nick, nick);
        match Name::parse(nick) {
            Ok(name) if name.text() == *self.me.nick => Input::Answered,
            Ok(name) => Input::Request(Request::TakeName(name)),
            Err(error) => {
                context.work.add(Work::look_up(nick));
                Input::Refused(error.into())
            }
        }
    }

    /// Of several rooms the first is joined, for everybody is in one room at a time.
    fn join<'a>(
        &mut self,
        message: &Message<'_>,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Input<'a> {
        let Some(rooms) = message.param(0) else {
            return self.too_few(context, "JOIN");
        };
        if rooms == "0" {
            self.note(Asked::Part, "#");
            return match self.room {
                Some(_) => Input::Request(Request::Part("")),
                None => Input::Answered,
            };
        }
        let mut keys = message.param(1).unwrap_or_default().split(',');
        let mut joined = None;
        for text in rooms.split(',').take(20) {
            let key = keys.next().filter(|key| !key.is_empty());
            if key.is_some_and(|key| !is_key(key)) {
                let why = "Cannot join channel (+k)";
                let _: Input<'a> = self.numeric(context, 475, format_args!("{text:.60} :{why}"));
                continue;
            }
            context.work.add(Work::LOOK_UP);
            let room = RoomName::parse(text).ok().filter(|_| text.starts_with('#'));
            let is_first = joined.is_none();
            _ = match room {
                None => self.numeric(context, 403, format_args!("{text:.60} :No such channel")),
                Some(_) if !is_first => {
                    let why = "you can be in one room at a time";
                    self.numeric(context, 405, format_args!("{text:.60} :{why}"))
                }
                Some(room) => {
                    joined = Some((room, key));
                    self.note(Asked::Join, text);
                    Input::Answered
                }
            };
        }
        let Some((room, key)) = joined else {
            return Input::Answered;
        };
        scratch.push_str(key.unwrap_or_default());
        let key = key.map(|_| &**scratch);
        Input::Request(Request::Join { room, key })
    }

    fn part<'a>(
        &mut self,
        message: &Message<'_>,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Input<'a> {
        let Some(rooms) = message.param(0) else {
            return self.too_few(context, "PART");
        };
        let mut rooms = rooms.split(',');
        let Some(own) = rooms.clone().find(|room| self.is_own_room(room)) else {
            return about(
                Query::Outside(442),
                rooms.next().unwrap_or_default(),
                scratch,
            );
        };
        self.note(Asked::Part, own);
        scratch.push_str(&fit(message.given(1).unwrap_or_default()));
        Input::Request(Request::Part(scratch))
    }

    /// Only operators may: the hub knows who is one.
    fn kick<'a>(
        &mut self,
        message: &Message<'_>,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Input<'a> {
        let (Some(room), Some(name)) = (message.param(0), message.param(1)) else {
            return self.too_few(context, "KICK");
        };
        if !self.is_own_room(room) {
            return about(Query::Outside(442), room, scratch);
        }
        let mut commands = OPERATOR_COMMANDS.iter();
        let Some(command) = commands.find(|command| command.word() == "kick") else {
            return Input::Answered;
        };
        self.note(Asked::Kick, room);
        let reason = fit(message.given(2).unwrap_or_default());
        scratch.push_str(name);
        scratch.push(' ');
        scratch.push_str(clip(&reason, REASON_BYTES_MAX));
        Input::Request(Request::ForOperators {
            command,
            typed: "kick",
            arguments: Some(scratch.trim_end()),
        })
    }

    fn mode<'a>(
        &mut self,
        message: &Message<'_>,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Input<'a> {
        let Some(of) = message.param(0) else {
            return self.too_few(context, "MODE");
        };
        let changes = message.param(1);
        if of.starts_with('#') {
            return match changes {
                None => about(Query::ModeOfRoom, of, scratch),
                Some("b" | "+b") if message.len() == 2 => self.numeric(
                    context,
                    368,
                    format_args!("{of:.60} :End of channel ban list"),
                ),
                Some(_) if self.is_own_room(of) => self.numeric(
                    context,
                    482,
                    format_args!("{of:.60} :You're not channel operator"),
                ),
                Some(_) => about(Query::Outside(442), of, scratch),
            };
        }
        if of.to_lowercase() != self.me.nick.to_lowercase() {
            return self.numeric(
                context,
                502,
                format_args!(":Can't change mode for other users"),
            );
        }
        let Some(changes) = changes else {
            let mode = if self.is_hidden { "+i" } else { "+" };
            return self.numeric(context, 221, format_args!("{mode}"));
        };
        let (mut is_on, mut told, mut is_unknown) = (true, None, false);
        for c in changes.chars() {
            match c {
                '+' | '-' => is_on = c == '+',
                'i' => told = Some(is_on),
                _ => is_unknown = true,
            }
        }
        if let Some(is_on) = told {
            self.is_hidden = is_on;
            let (sign, nick) = (if is_on { '+' } else { '-' }, &self.me.nick);
            self.me
                .by_me(context.out, format_args!("MODE {nick} :{sign}i"));
        }
        if is_unknown {
            self.me
                .numeric(context.out, 501, format_args!(":Unknown MODE flag"));
        }
        Input::Answered
    }
}

/// A question about this.
pub(super) fn about<'a>(query: Query, about: &str, scratch: &'a mut String) -> Input<'a> {
    scratch.clear();
    scratch.push_str(about);
    Input::Question(Question {
        query,
        about: scratch,
    })
}

/// A client's line was too long, by this many bytes, and nothing of it is obeyed.
fn too_long<'a>(bytes: usize, context: &Context<'_>) -> Input<'a> {
    Input::Refused(Refusal::LineTooLong {
        bytes,
        bytes_max: context.words_bytes_max,
    })
}

/// Words beside a request, made fit for others.
fn fit(text: &str) -> String {
    hygiene::clean(without_formatting(text).as_bytes())
        .text
        .trim()
        .to_owned()
}

/// As many whole characters as fit into this many bytes.
fn clip(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
