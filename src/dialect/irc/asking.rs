//! Verbs that only ask: what is known at once is answered, for the rest a directory is needed.

use crate::dialect::input::{Context, Input};
use crate::dialect::irc::codec::Codec;
use crate::dialect::irc::line::Message;
use crate::dialect::irc::question::Query;
use crate::dialect::irc::verbs::about;
use crate::when::MomentForPeople;

impl Codec {
    /// What only asks.
    pub(super) fn question<'a>(
        &mut self,
        verb: &str,
        message: &Message<'_>,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Input<'a> {
        let server = &self.me.server;
        let first = message.param(0).unwrap_or_default();
        let version = env!("CARGO_PKG_VERSION");
        match verb {
            "WHO" => {
                let operators = message.param(1) == Some("o");
                about(Query::Who { operators }, first, scratch)
            }
            "WHOIS" if message.len() == 0 => {
                self.numeric(context, 431, format_args!(":No nickname given"))
            }
            // `WHOIS SERVER NICK` asks a server of several.
            "WHOIS" => about(Query::Whois, message.param(1).unwrap_or(first), scratch),
            "NAMES" => about(Query::Names, first, scratch),
            "LIST" => about(Query::List, first, scratch),
            "LUSERS" => about(Query::Lusers, "", scratch),
            "MOTD" => about(Query::Motd, "", scratch),
            "ISON" | "USERHOST" | "TOPIC" | "WHOWAS" | "KILL" | "WALLOPS" if first.is_empty() => {
                self.too_few(context, verb)
            }
            "ISON" => about(Query::Ison, &message.joined_from(0), scratch),
            "USERHOST" => about(Query::Userhost, &message.joined_from(0), scratch),
            "TOPIC" if message.len() == 1 => about(Query::Topic, first, scratch),
            "TOPIC" if self.is_own_room(first) => self.numeric(
                context,
                482,
                format_args!("{first:.60} :rooms have no topics here"),
            ),
            "TOPIC" => about(Query::Outside(442), first, scratch),
            "WHOWAS" => {
                let why = "There was no such nickname";
                self.numeric(context, 406, format_args!("{first:.60} :{why}"));
                self.numeric(context, 369, format_args!("{first:.60} :End of WHOWAS"))
            }
            "LINKS" => {
                self.numeric(context, 364, format_args!("{server} {server} :0 chatd"));
                self.numeric(context, 365, format_args!("* :End of /LINKS list"))
            }
            "VERSION" => self.numeric(context, 351, format_args!("chatd-{version} {server} :")),
            "TIME" => {
                let time = MomentForPeople(context.to.wall_seconds);
                self.numeric(context, 391, format_args!("{server} :{time}"))
            }
            "INFO" => {
                self.numeric(
                    context,
                    371,
                    format_args!(":chatd {version}, a chat server"),
                );
                self.numeric(context, 374, format_args!(":End of /INFO list"))
            }
            "HELP" | "HELPOP" => self.help(first, context),
            "USER" | "PASS" => self.numeric(context, 462, format_args!(":You may not reregister")),
            "OPER" if message.len() < 2 => self.too_few(context, verb),
            "OPER" => self.numeric(context, 491, format_args!(":No O-lines for your host")),
            "KILL" | "WALLOPS" => {
                let why = "Permission Denied- You're not an IRC operator";
                self.numeric(context, 481, format_args!(":{why}"))
            }
            _ => self.numeric(context, 421, format_args!("{verb:.30} :Unknown command")),
        }
    }

    fn help<'a>(&self, subject: &str, context: &mut Context<'_>) -> Input<'a> {
        let lines: &[&str] = match &*subject.to_ascii_uppercase() {
            "" => &[
                "AWAY CAP HELP INFO ISON JOIN KICK LINKS LIST LUSERS MODE MOTD NAMES NICK",
                "NOTICE PART PING PRIVMSG QUIT TIME TOPIC USERHOST VERSION WHO WHOIS WHOWAS",
                "You are in one room at a time: JOIN #ROOM [KEY] goes there, PART #ROOM leaves it.",
                "PRIVMSG chatd :keep keeps your name; PRIVMSG chatd :name NAME KEY takes a kept one.",
            ],
            "PRIVMSG" => &["PRIVMSG #ROOM|NAME :TEXT says something in your room, or to one person."],
            "NOTICE" => &["NOTICE #ROOM|NAME :TEXT says something that no program answers."],
            "JOIN" => &["JOIN #ROOM [KEY] goes to a room, which is made if it is not there."],
            "PART" => &["PART #ROOM [:WORDS] leaves the room: you hear private lines only."],
            "NICK" => &["NICK NAME takes a name, of letters of any script."],
            "QUIT" => &["QUIT [:WORDS] leaves."],
            "AWAY" => &["AWAY :REASON tells those who write to you that you are away; AWAY, that you are back."],
            "WHO" => &["WHO #ROOM|MASK lists people."],
            "WHOIS" => &["WHOIS NAME tells of one person."],
            "LIST" => &["LIST lists the rooms with people in them that have no key."],
            _ => {
                let why = "No help available on this topic";
                return self.numeric(context, 524, format_args!("{subject:.60} :{why}"));
            }
        };
        let subject = if subject.is_empty() { "*" } else { subject };
        self.numeric(
            context,
            704,
            format_args!("{subject:.60} :chatd {}", env!("CARGO_PKG_VERSION")),
        );
        for line in lines {
            self.numeric(context, 705, format_args!("{subject:.60} :{line}"));
        }
        self.numeric(context, 706, format_args!("{subject:.60} :End of /HELP"))
    }
}
