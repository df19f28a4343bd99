//! What attackers send: every request, and every class of bytes.

/// One thing that is sent over and over.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// How many requests, lines or keys one unit has.
    pub(super) requests: usize,
    /// What is sent once before, and not measured.
    setup: fn() -> Vec<u8>,
    /// What the attacker of this number repeats.
    unit: fn(usize) -> Vec<u8>,
}

/// Attackers write whole units of at least this many bytes at once.
const PAYLOAD_BYTES_MIN: usize = 16 * 1024;

/// Who is asked about, written to and ignored.
pub(super) const TARGET: &str = "target";

/// Asks for the editor, and agrees to what it needs.
const EDIT: &[u8] = b"/edit on\r\n\xff\xfd\x01\xff\xfd\x03";
/// The same on a screen of 1,000 columns.
const EDIT_WIDE: &[u8] =
    b"\xff\xfb\x1f\xff\xfa\x1f\x03\xe8\x00\x18\xff\xf0/edit on\r\n\xff\xfd\x01\xff\xfd\x03";
const FLAG_LETTER: &str = "\u{1f1e6}";

impl Case {
    pub(super) fn setup(&self) -> Vec<u8> {
        (self.setup)()
    }

    /// Its units, often enough to be written at once.
    pub(super) fn payload(&self, attacker: usize) -> Vec<u8> {
        let unit = self.unit(attacker);
        unit.repeat(PAYLOAD_BYTES_MIN.div_ceil(unit.len()))
    }

    pub(super) fn unit(&self, attacker: usize) -> Vec<u8> {
        (self.unit)(attacker)
    }
}

fn nothing() -> Vec<u8> {
    Vec::new()
}

fn line(bytes: &[u8], count: usize) -> Vec<u8> {
    [&bytes.repeat(count), &b"\r\n"[..]].concat()
}

const fn lines(name: &'static str, requests: usize, unit: fn(usize) -> Vec<u8>) -> Case {
    Case {
        name,
        requests,
        setup: nothing,
        unit,
    }
}

const fn keys(name: &'static str, requests: usize, unit: fn(usize) -> Vec<u8>) -> Case {
    Case {
        name,
        requests,
        setup: || EDIT.to_vec(),
        unit,
    }
}

pub(super) const CASES: &[Case] = &[
    // Requests.
    lines("say", 1, |_| b"hello\r\n".to_vec()),
    lines("me", 1, |_| b"/me waves\r\n".to_vec()),
    lines("msg", 1, |_| {
        format!("/msg {TARGET} hello\r\n").into_bytes()
    }),
    lines("who", 1, |_| b"/who\r\n".to_vec()),
    lines("whois", 1, |_| format!("/whois {TARGET}\r\n").into_bytes()),
    lines("name", 2, |n| {
        format!("/name zq{n}\r\n/name zw{n}\r\n").into_bytes()
    }),
    lines("history", 1, |_| b"/history\r\n".to_vec()),
    lines("ignore", 2, |_| {
        format!("/ignore {TARGET}\r\n/unignore {TARGET}\r\n").into_bytes()
    }),
    lines("away", 2, |_| b"/away gone\r\n/back\r\n".to_vec()),
    lines("unknown", 1, |_| b"/nosuch\r\n".to_vec()),
    lines("keepalive", 1, |_| b"\xff\xf1".to_vec()),
    keys("tab", 1, |_| b"g\t\x15".to_vec()),
    keys("break", 1, |_| b"x\xff\xf3".to_vec()),
    keys("interrupt", 1, |_| b"x\xff\xf4".to_vec()),
    keys("ctrl-r", 1, |_| b"\x12g\x07".to_vec()),
    // Classes of bytes.
    lines("ascii", 1, |_| line(b"word ", 20)),
    lines("chinese", 1, |_| line("\u{8a71}".as_bytes(), 33)),
    lines("flags", 1, |_| line(FLAG_LETTER.as_bytes(), 25)),
    lines("not-utf8", 1, |_| line(b"\x80\xff\xff", 100)),
    lines("longest", 1, |_| line(b"x", 4096)),
    lines("too-long", 1, |_| line(b"x", 8192)),
    lines("endless", 1, |_| vec![b'x'; 4096]),
    lines("shortest", 1, |_| b"x\n".to_vec()),
    lines("blank", 1, |_| b"\n".to_vec()),
    lines("nul", 1, |_| b"\0".to_vec()),
    lines("cr-nul", 1, |_| b"\r\0".to_vec()),
    lines("subnegotiation", 1, |_| {
        b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0".to_vec()
    }),
    lines("option", 1, |_| b"\xff\xfd\x63\xff\xfe\x63".to_vec()),
    Case {
        name: "arrows",
        requests: 2,
        setup: || [EDIT, &[b'x'; 1900]].concat(),
        unit: |_| b"\x1b[D\x1b[C".to_vec(),
    },
    Case {
        name: "insert-at-start",
        requests: 3,
        setup: || [EDIT, &[b'x'; 1900]].concat(),
        unit: |_| b"\x01x\x7f".to_vec(),
    },
    Case {
        name: "flags-at-start",
        requests: 3,
        setup: || [EDIT_WIDE, FLAG_LETTER.repeat(900).as_bytes()].concat(),
        unit: |_| [b"\x01", FLAG_LETTER.as_bytes(), b"\x7f"].concat(),
    },
];
