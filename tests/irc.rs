//! IRC clients over real sockets, beside people with telnet.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use support::operator::Place;
use support::person::Person;
use support::server::{chatd, Server};
use support::DEADLINE;

fn server(settings: &[&str]) -> Server {
    let settings = settings.iter().flat_map(|setting| ["-o", *setting]);
    server_with(&settings.collect::<Vec<_>>())
}

fn server_with(arguments: &[&str]) -> Server {
    let mut command = chatd();
    command.args(["-l", "127.0.0.1:0", "-l", "irc://127.0.0.1:0"]);
    let server = Server::spawn(command.args(arguments));
    server.output.wait_for("listening irc://");
    server
}

/// An IRC client that says what it is told to say.
struct Client {
    lines: BufReader<TcpStream>,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address("irc")).expect("it listens");
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a TCP socket");
        let lines = BufReader::new(stream);
        Self { lines }
    }

    /// Comes in under this name, and reads the greeting.
    fn register(server: &Server, name: &str) -> Self {
        let mut client = Self::connect(server);
        client.send(&format!("NICK {name}"));
        client.send(&format!("USER {name} 0 * :{name} of IRC"));
        client.read_to(&format!(":chatd.local 376 {name} :End of /MOTD command"));
        client
    }

    /// Comes in and goes to the lobby.
    fn join(server: &Server, name: &str) -> Self {
        let mut client = Self::register(server, name);
        client.send("JOIN #lobby");
        client.read_to(&format!(
            ":chatd.local 366 {name} #lobby :End of /NAMES list"
        ));
        client
    }

    fn send(&mut self, line: &str) {
        self.send_bytes(line.as_bytes());
    }

    fn send_bytes(&mut self, line: &[u8]) {
        let mut bytes = line.to_vec();
        bytes.extend_from_slice(b"\r\n");
        self.lines.get_mut().write_all(&bytes).expect("it listens");
    }

    /// The next line without its end; `None` at the end of the stream.
    fn read(&mut self) -> Option<String> {
        let mut line = String::new();
        let bytes = self.lines.read_line(&mut line).expect("in time, and UTF-8");
        assert!(bytes == 0 || line.ends_with("\r\n"), "{line:?}");
        assert!(line.len() <= 512 || line.starts_with('@'), "{line:?}");
        (bytes > 0).then(|| line.trim_end_matches("\r\n").to_owned())
    }

    /// Reads up to this line; gives those before it.
    fn read_to(&mut self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let line = self
                .read()
                .unwrap_or_else(|| panic!("{wanted} comes, not only {before:#?}"));
            if line == wanted {
                return before;
            }
            before.push(line);
        }
    }

    /// What is answered to this line.
    fn ask(&mut self, line: &str) -> Vec<String> {
        self.send(line);
        self.send("PING asked");
        self.read_to(":chatd.local PONG chatd.local :asked")
    }

    #[track_caller]
    fn expect(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.read().as_deref(), Some(*line));
        }
    }
}

#[test]
fn people_and_irc_clients_hear_each_other() {
    let server = server(&[]);
    let mut ann = server.join("ann");
    let mut bob = Client::join(&server, "bob");
    ann.expect("-- bob joined (2 here)");
    ann.say("hello there");
    ann.say("/me waves");
    ann.expect("* ann waves");
    bob.expect(&[
        ":ann!telnet@chatd PRIVMSG #lobby :hello there",
        ":ann!telnet@chatd PRIVMSG #lobby :\x01ACTION waves\x01",
    ]);
    bob.send("PRIVMSG #lobby :\x02bold\x02 and \x0304,12red\x03");
    bob.send("PRIVMSG #lobby :\x01ACTION nods\x01");
    bob.send("NOTICE #lobby :/who knows");
    bob.send("PRIVMSG ann :psst");
    bob.send("PRIVMSG ann :\x01ACTION whispers\x01");
    for line in [
        "<bob> bold and red",
        "* bob nods",
        "<bob> /who knows",
        "[bob] psst",
        "[bob] /me whispers",
    ] {
        ann.expect(line);
    }
    ann.say("/msg bob /me hums");
    ann.expect("[to bob] /me hums");
    bob.expect(&[":ann!telnet@chatd PRIVMSG bob :\x01ACTION hums\x01"]);
    bob.send("NICK 罗永浩");
    bob.expect(&[":bob!bob@chatd NICK :罗永浩"]);
    ann.expect("-- bob is now known as 罗永浩");
    ann.say("/name Jürgen");
    ann.expect("-- you are Jürgen");
    bob.expect(&[":ann!telnet@chatd NICK :Jürgen"]);
    bob.send("QUIT :see you");
    bob.expect(&["ERROR :goodbye"]);
    assert_eq!(bob.read(), None);
    ann.expect("-- 罗永浩 left: see you (1 here)");
}

#[test]
fn who_has_not_joined_is_in_no_room() {
    let server = server(&[]);
    let mut ann = server.join("ann");
    let mut bob = Client::register(&server, "bob");
    ann.say("/who");
    ann.expect("-- 1 here: ann");
    ann.say("nobody hears this");
    ann.say("/msg bob you do");
    ann.expect("[to bob] you do");
    bob.expect(&[":ann!telnet@chatd PRIVMSG bob :you do"]);
    let told = bob.ask("PRIVMSG #lobby :x");
    let why = "Cannot send to channel: you are not in it";
    assert_eq!(told, [format!(":chatd.local 404 bob #lobby :{why}")]);
    bob.send("JOIN #lobby");
    bob.expect(&[
        ":bob!bob@chatd JOIN #lobby",
        ":chatd.local 353 bob = #lobby :ann bob",
        ":chatd.local 366 bob #lobby :End of /NAMES list",
    ]);
    let earlier = bob.read().expect("what was said before");
    assert!(
        earlier.starts_with(":ann!earlier@chatd PRIVMSG #lobby :["),
        "{earlier}"
    );
    assert!(earlier.ends_with("] nobody hears this"), "{earlier}");
    ann.expect("-- bob joined (2 here)");
    bob.send("PART #lobby :off");
    bob.expect(&[":bob!bob@chatd PART #lobby :off"]);
    ann.expect("-- bob left: off (1 here)");
    ann.say("nor this");
    assert_eq!(
        bob.ask("PART #lobby"),
        [":chatd.local 442 bob #lobby :You're not on that channel"]
    );
    assert_eq!(
        bob.ask("PART #none"),
        [":chatd.local 403 bob #none :No such channel"]
    );
}

#[test]
fn a_client_is_in_one_room_at_a_time() {
    let server = server(&[]);
    let mut ann = Client::join(&server, "ann");
    let mut bob = Client::join(&server, "bob");
    ann.expect(&[":bob!bob@chatd JOIN #lobby"]);
    let told = bob.ask("JOIN #games,#other key");
    assert_eq!(
        told,
        [
            ":chatd.local 405 bob #other :you can be in one room at a time",
            ":bob!bob@chatd PART #lobby",
            ":bob!bob@chatd JOIN #games",
            ":chatd.local 353 bob = #games :bob",
            ":chatd.local 366 bob #games :End of /NAMES list",
        ]
    );
    ann.expect(&[":bob!bob@chatd PART #lobby"]);
    assert_eq!(bob.ask("JOIN #games"), [""; 0]);
    let refused = ann.ask("JOIN #games wrong");
    let why = "Cannot join channel (+k) - that is not the key of games";
    assert_eq!(refused, [format!(":chatd.local 475 ann #games :{why}")]);
    assert_eq!(ann.ask("JOIN #games key").len(), 4);
    bob.expect(&[":ann!ann@chatd JOIN #games"]);
    // A room with a key is told of to nobody.
    assert_eq!(Client::register(&server, "eve").ask("LIST").len(), 2);
}

#[test]
fn a_name_that_cannot_be_had_is_433_and_another_one_is_taken() {
    let server = server(&[]);
    let mut ann = server.join("ann");
    ann.say("/keep");
    let kept = ann.read_line().expect("the key");
    let mut bob = Client::connect(&server);
    bob.send("USER bob 0 * :x");
    bob.send("NICK ann");
    bob.expect(&[":chatd.local 433 * ann :ann is kept: /msg chatd name ann KEY takes it"]);
    bob.send("NICK bob");
    bob.read_to(":chatd.local 376 bob :End of /MOTD command");
    let refused = bob.ask("NICK АNN");
    assert!(
        refused[0].starts_with(":chatd.local 433 bob АNN :ann is kept"),
        "{refused:?}"
    );
    assert_eq!(bob.ask("NICK bob"), [""; 0]);
    assert_eq!(bob.ask("NICK BOB"), [":bob!bob@chatd NICK :BOB"]);
    let key = kept
        .split("/name ann ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let taken = bob.ask(&format!("PRIVMSG chatd :name ann {}", key.expect("a key")));
    assert_eq!(taken, [":BOB!bob@chatd NICK :ann"]);
    ann.expect("!! goodbye: ann was taken back with its key");
}

#[test]
fn capabilities_change_what_one_client_hears() {
    let server = server(&[]);
    let mut ann = server.join("ann");
    let mut bob = Client::join(&server, "bob");
    ann.expect("-- bob joined (2 here)");
    ann.say("one");
    assert_eq!(
        bob.read().as_deref(),
        Some(":ann!telnet@chatd PRIVMSG #lobby :one")
    );
    let ack = bob.ask("CAP REQ :server-time echo-message");
    assert_eq!(ack, [":chatd.local CAP bob ACK :server-time echo-message"]);
    ann.say("two");
    let timed = bob.read().expect("a line");
    assert!(timed.starts_with("@time=20"), "{timed}");
    assert!(
        timed[30..].starts_with(" :ann!telnet@chatd PRIVMSG #lobby :two"),
        "{timed}"
    );
    bob.send("PRIVMSG #lobby :mine");
    let own = bob.read().expect("its own line");
    assert!(
        own.ends_with(" :bob!bob@chatd PRIVMSG #lobby :mine"),
        "{own}"
    );
    assert_eq!(bob.ask("CAP REQ :-server-time -echo-message").len(), 1);
    assert_eq!(bob.ask("PRIVMSG #lobby :mine"), [""; 0]);
    ann.expect("<bob> mine");
}

#[test]
fn long_lines_are_cut_and_arrive_whole() {
    let server = server(&[]);
    let mut ann = server.join("ann");
    let mut bob = Client::join(&server, "bob");
    ann.expect("-- bob joined (2 here)");
    let words = "罗永浩 Jürgen ".repeat(180);
    let words = words.trim_end();
    ann.say(words);
    let mut heard = String::new();
    while heard.len() < words.len() {
        let line = bob.read().expect("a part");
        heard += line
            .strip_prefix(":ann!telnet@chatd PRIVMSG #lobby :")
            .expect("from ann");
    }
    assert_eq!(heard, words);
    bob.send(&format!("PRIVMSG #lobby :{words}"));
    ann.expect(&format!("<bob> {words}"));
    let longer = bob.ask(&format!("PRIVMSG #lobby :{}", "x".repeat(4097)));
    let why = "line too long: 4097 bytes, at most 4096; not sent";
    assert_eq!(longer, [format!(":chatd.local 417 bob :{why}")]);
    bob.send_bytes(b"PRIVMSG #lobby :\xe9t\xe9");
    let told = bob.read().expect("an answer");
    assert!(
        told.starts_with(":chatd.local FAIL PRIVMSG INVALID_UTF8 :"),
        "{told}"
    );
    ann.expect_silence();
}

#[test]
fn what_is_asked_is_answered_in_numbers() {
    let server = server(&["room=games", "lines-per-second=0"]);
    let mut ann = server.join("ann");
    let mut bob = Client::join(&server, "bob");
    ann.expect("-- bob joined (2 here)");
    ann.say("/away lunch");
    ann.expect("-- you are away");
    let mut codes = |line: &str| -> Vec<String> {
        let told = bob.ask(line);
        let code = |line: &String| line.split(' ').nth(1).unwrap_or_default().to_owned();
        told.iter().map(code).collect()
    };
    for (line, expected) in [
        ("WHOIS ann", "311 319 312 301 317 318"),
        ("WHOIS nobody", "401 318"),
        ("WHOIS", "431"),
        ("WHO #lobby", "352 352 315"),
        ("WHO b*", "352 315"),
        ("WHO nobody", "315"),
        ("NAMES", "353 366"),
        ("NAMES #none", "366"),
        ("LIST", "321 322 323"),
        ("LUSERS", "251 252 253 254 255 265 266"),
        ("MOTD", "375 372 376"),
        ("MODE #lobby", "324 329"),
        ("MODE #games", "324 329"),
        ("MODE #lobby b", "368"),
        ("MODE #lobby +m", "482"),
        ("MODE #games +m", "442"),
        ("MODE #none +m", "403"),
        ("MODE bob", "221"),
        ("MODE bob +x", "501"),
        ("MODE ann +i", "502"),
        ("TOPIC #lobby", "331"),
        ("TOPIC #lobby :x", "482"),
        ("TOPIC #none", "403"),
        ("KICK #lobby ann", "482"),
        ("KICK #none ann", "403"),
        ("KICK #lobby", "461"),
        ("PRIVMSG", "411"),
        ("PRIVMSG ann", "412"),
        ("PRIVMSG nobody :x", "401"),
        ("PRIVMSG #none :x", "403"),
        ("PRIVMSG ann :x", "301"),
        ("NOTICE", ""),
        ("NOTICE ann", ""),
        ("NOTICE nobody :x", ""),
        ("NOTICE ann :x", ""),
        ("PRIVMSG ann :\x01VERSION\x01", "NOTICE"),
        ("AWAY :x", "306"),
        ("AWAY", "305"),
        ("NICK", "431"),
        ("NICK #", "432"),
        ("NICK guest5", "433"),
        ("NICK ann", "433"),
        ("USER a b c d", "462"),
        ("PASS x", "462"),
        ("OPER a b", "491"),
        ("OPER", "461"),
        ("KILL ann :x", "481"),
        ("WALLOPS :x", "481"),
        ("ISON ann", "303"),
        ("USERHOST ann", "302"),
        ("WHOWAS x", "406 369"),
        ("LINKS", "364 365"),
        ("TIME", "391"),
        ("VERSION", "351"),
        ("INFO", "371 374"),
        ("HELP join", "704 705 706"),
        ("HELP x", "524"),
        ("CAP", "461"),
        ("CAP X", "410"),
        ("PING", "461"),
        ("FROB", "421"),
        ("JOIN", "461"),
        ("JOIN lobby", "403"),
        ("PART", "461"),
    ] {
        assert_eq!(codes(line).join(" "), expected, "{line}");
    }
}

#[test]
fn what_is_no_irc_is_turned_away() {
    let server = server(&[]);
    let mut browser = Client::connect(&server);
    browser.send("GET / HTTP/1.1");
    browser.expect(&["ERROR :this port is for IRC"]);
    assert_eq!(browser.read(), None);
    let mut talker = Client::connect(&server);
    for _ in 0..5 {
        talker.send(&format!("PASS {}", "x".repeat(1000)));
    }
    let told = talker.read().expect("a farewell");
    assert!(told.starts_with("ERROR :goodbye: nothing heard"), "{told}");
}

/// Nobody hears a line of somebody whose JOIN they did not get or whose name was not in their list.
#[test]
fn in_a_crowd_who_speaks_is_introduced_first_and_those_who_go_are_told_of_slowly() {
    let server = server(&["sessions-per-address-max=0", "connects-per-minute=0"]);
    let mut bob = Client::join(&server, "bob");
    let mut crowd: Vec<Person> = (0..25).map(|n| server.join(&format!("c{n}"))).collect();
    let last = crowd.last_mut().expect("a crowd");
    last.say("hello");
    let heard = bob.read_to(":c24!telnet@chatd PRIVMSG #lobby :hello");
    let joins = heard.iter().filter(|line| line.ends_with(" JOIN #lobby"));
    assert!(joins.count() <= 25);
    assert!(
        heard.contains(&":c24!telnet@chatd JOIN #lobby".to_owned()),
        "{heard:#?}"
    );
    drop(crowd);
    bob.read_to(":c24!telnet@chatd QUIT :");
}

#[test]
fn an_operator_has_a_sign_and_may_kick() {
    let place = Place::new();
    let server = server_with(&["-l", &place.endpoint()]);
    server.output.wait_for("listening ops://");
    let mut operator = place.connect();
    let mut ann = Client::join(&server, "ann");
    let mut bob = Client::join(&server, "bob");
    ann.expect(&[":bob!bob@chatd JOIN #lobby"]);
    operator.ask("op ann");
    ann.expect(&[":chatd.local MODE #lobby +o ann"]);
    bob.expect(&[":chatd.local MODE #lobby +o ann"]);
    let names = bob.ask("NAMES");
    assert_eq!(names[0], ":chatd.local 353 bob = #lobby :@ann bob");
    assert_eq!(bob.ask("KICK #lobby ann").len(), 1);
    let told = ann.ask("KICK #lobby bob :spam");
    assert!(
        told.contains(&":bob!bob@chatd QUIT :kicked".to_owned()),
        "{told:#?}"
    );
    bob.expect(&["ERROR :goodbye: you were kicked: spam"]);
    assert_eq!(bob.read(), None);
    operator.ask("announce noon");
}

#[test]
fn who_is_muted_is_told_so_by_what_they_ask_for() {
    let place = Place::new();
    let server = server_with(&["-l", &place.endpoint()]);
    server.output.wait_for("listening ops://");
    let mut operator = place.connect();
    let mut ann = Client::join(&server, "ann");
    operator.ask("mute ann 1h spam");
    let told = ann.read().expect("a notice");
    assert!(
        told.starts_with(":chatd.local NOTICE ann :you are muted until "),
        "{told}"
    );
    let told = ann.ask("PRIVMSG #lobby :x");
    assert!(
        told[0].starts_with(":chatd.local 404 ann #lobby :you are muted "),
        "{told:?}"
    );
    let told = ann.ask("PRIVMSG ann :x");
    assert!(
        told[0].starts_with(":chatd.local NOTICE ann :you are muted "),
        "{told:?}"
    );
}
