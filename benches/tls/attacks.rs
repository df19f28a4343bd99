//! What somebody does with TLS who means harm, and how long a line takes among others meanwhile.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use rustls::crypto::cipher::{MessageEncrypter, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion};

use crate::crowd::{Client, Crowd, Kind, Server};

/// As many as one address may have by default.
const ATTACKERS: usize = 64;

/// What an attacker does again and again.
type Attack = fn(&Server, &mut Vec<Attacker>) -> io::Result<()>;

pub(crate) struct Attacker {
    client: Client,
    /// What it goes on to send.
    load: Vec<u8>,
    forger: Option<Forger>,
}

/// Encrypts what rustls would not.
struct Forger {
    encrypter: Box<dyn MessageEncrypter>,
    number: u64,
}

impl Forger {
    fn new(client: &mut Client) -> io::Result<Self> {
        let tls = client.tls.take().ok_or(io::ErrorKind::InvalidInput)?;
        let suite = tls
            .negotiated_cipher_suite()
            .and_then(|suite| suite.tls13());
        let suite = suite.ok_or(io::ErrorKind::InvalidInput)?;
        let secrets = tls.dangerous_extract_secrets().map_err(io::Error::other)?;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets.tx.1
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok(Self {
            encrypter: suite.aead_alg.encrypter(key, iv),
            number: secrets.tx.0,
        })
    }

    fn add(&mut self, typ: ContentType, payload: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: payload.into(),
        };
        let record = self.encrypter.encrypt(message, self.number);
        self.number += 1;
        out.extend(record.map_err(io::Error::other)?.encode());
        Ok(())
    }
}

pub(crate) fn all(core: Option<usize>, seconds: u64) -> io::Result<()> {
    println!("64 attackers, default settings   a line's p50, p99, longest   server's CPU");
    let attacks: [(&str, bool, Attack); 7] = [
        ("nobody", false, |_, _| Ok(())),
        ("hellos, and then nothing", false, hellos),
        ("handshakes, and away", false, handshakes),
        ("garbage that looks like a hello", false, garbage),
        ("one byte a record", true, |_, all| {
            keep_sending(all, one_byte)
        }),
        ("lines of 64 bytes, full records", true, |_, all| {
            keep_sending(all, lines)
        }),
        ("a key update, and a broken record", true, |_, all| {
            keep_sending(all, key_update)
        }),
    ];
    for (name, is_in, attack) in attacks {
        let server = Server::start(core, &[])?;
        let mut talking = Crowd::new()?;
        talking.join(&server, Kind::Tls, 20)?;
        talking.listen(Duration::from_millis(500))?;
        let mut attackers = Vec::new();
        if is_in {
            let mut crowd = Crowd::new()?;
            crowd.join(&server, Kind::Tls, ATTACKERS)?;
            for mut client in crowd.clients {
                let forger = Some(Forger::new(&mut client)?);
                attackers.push(Attacker {
                    client,
                    load: Vec::new(),
                    forger,
                });
            }
        }
        let (ran, began) = (server.ran()?, Instant::now());
        let mut took = Vec::new();
        let mut next = began;
        let mut speaker = 0;
        while began.elapsed() < Duration::from_secs(seconds) {
            attack(&server, &mut attackers)?;
            if Instant::now() < next {
                talking.turn(Duration::ZERO)?;
                continue;
            }
            next = Instant::now() + Duration::from_millis(100);
            speaker = (speaker + 1) % 20;
            let said_at = Instant::now();
            talking.clients[speaker].say(b"hello, how are you\r\n")?;
            let listener = (speaker + 1) % 20;
            talking.clients[listener].heard.clear();
            while !talking.clients[listener]
                .heard
                .windows(11)
                .any(|it| it == b"how are you")
            {
                attack(&server, &mut attackers)?;
                talking.turn(Duration::ZERO)?;
                if said_at.elapsed() > Duration::from_secs(20) {
                    return Err(io::Error::other(format!("{name}: a line is lost")));
                }
            }
            took.push(said_at.elapsed());
        }
        let share = server.ran()?.saturating_sub(ran).as_secs_f64() / began.elapsed().as_secs_f64();
        took.sort_unstable();
        let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
        println!(
            "  {name:33} {:8.1?} {:8.1?} {:8.1?}   {:3.0} %   ({} attackers left)",
            at(50),
            at(99),
            took[took.len() - 1],
            share * 100.0,
            attackers.iter().filter(|it| !it.client.is_gone).count()
        );
    }
    Ok(())
}

/// More and more come, send a hello, and say no more; the newest 300 stay.
fn hellos(server: &Server, attackers: &mut Vec<Attacker>) -> io::Result<()> {
    let mut client = server.dial(Kind::Tls, attackers.len())?;
    if let Some(tls) = &mut client.tls {
        tls.write_tls(&mut client.stream)?;
    }
    attackers.push(Attacker {
        client,
        load: Vec::new(),
        forger: None,
    });
    if attackers.len() > 300 {
        attackers.remove(0);
    }
    Ok(())
}

/// 64 at a time shake hands, and leave when they are greeted.
fn handshakes(server: &Server, attackers: &mut Vec<Attacker>) -> io::Result<()> {
    if attackers.len() < ATTACKERS {
        let client = server.dial(Kind::Tls, attackers.len())?;
        attackers.push(Attacker {
            client,
            load: Vec::new(),
            forger: None,
        });
    }
    for attacker in attackers.iter_mut() {
        attacker.client.turn();
    }
    attackers.retain(|it| it.client.heard.is_empty() && !it.client.is_gone);
    Ok(())
}

fn garbage(server: &Server, attackers: &mut Vec<Attacker>) -> io::Result<()> {
    let mut client = server.dial(Kind::Tls, attackers.len())?;
    client
        .stream
        .write_all(b"\x16\x03\x01\0\x05\x01\0\0\x01\0")?;
    attackers.push(Attacker {
        client,
        load: Vec::new(),
        forger: None,
    });
    if attackers.len() > 100 {
        attackers.remove(0);
    }
    Ok(())
}

/// Each sends as much as goes of what it makes.
fn keep_sending(
    attackers: &mut [Attacker],
    make: fn(&mut Forger, &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    for Attacker {
        client,
        load,
        forger,
    } in attackers
    {
        let Some(forger) = forger.as_mut().filter(|_| !client.is_gone) else {
            continue;
        };
        if load.is_empty() {
            make(forger, load)?;
        }
        match client.stream.write(load) {
            Ok(taken) => _ = load.drain(..taken),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => client.is_gone = true,
        }
        // What it is told is not looked at.
        let mut buffer = [0; 4096];
        while matches!(io::Read::read(&mut client.stream, &mut buffer), Ok(taken) if taken > 0) {}
    }
    Ok(())
}

fn one_byte(forger: &mut Forger, out: &mut Vec<u8>) -> io::Result<()> {
    for byte in b"a line of records of one byte each, of which there is no end\r\n" {
        forger.add(ContentType::ApplicationData, &[*byte], out)?;
    }
    Ok(())
}

fn lines(forger: &mut Forger, out: &mut Vec<u8>) -> io::Result<()> {
    let lines = [&[b'y'; 62][..], b"\r\n"].concat().repeat(256);
    forger.add(ContentType::ApplicationData, &lines, out)
}

/// It wants an answer (RFC 8446, section 4.6.3), and the keys change behind it: what comes then is a broken record.
fn key_update(forger: &mut Forger, out: &mut Vec<u8>) -> io::Result<()> {
    forger.add(ContentType::Handshake, &[24, 0, 0, 1, 1], out)
}
