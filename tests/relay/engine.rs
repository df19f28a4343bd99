//! A `redis-server` of the test's own, which can be killed, stopped, emptied and started again.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{kill_process, Pid, Signal};

use super::support::eventually;
use super::support::server::Server;

/// An engine, and the folder that it lives in.
pub(crate) struct Engine {
    folder: PathBuf,
    options: Vec<String>,
    child: Option<Child>,
}

impl Engine {
    /// Starts one that keeps nothing on the disk.
    pub(crate) fn start() -> Self {
        Self::with(&["--appendonly", "no"])
    }

    /// Starts one with these options.
    pub(crate) fn with(options: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // The path of a socket must be short.
        let folder = std::env::temp_dir().join(format!("relay-{}-{count}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mut engine = Self {
            folder,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            child: None,
        };
        engine.begin();
        engine
    }

    /// Starts it again.
    pub(crate) fn begin(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("it is installed"));
        eventually("the engine answers", || self.try_ask("PING").is_some());
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("engine.sock")
    }

    /// The setting with which a server finds it.
    pub(crate) fn setting(&self) -> String {
        format!("relay=redis-unix://{}", self.socket().display())
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it runs");
    }

    /// The first line of its answer to a command.
    pub(crate) fn ask(&self, command: &str) -> String {
        self.try_ask(command).expect("an answer")
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        (!line.is_empty() && !line.starts_with("-LOADING")).then(|| line.trim_end().to_owned())
    }

    /// Starts a server that shares the chat through it, with further settings, and waits until it does.
    pub(crate) fn server(&self, settings: &[&str]) -> Server {
        let server = self.start_server(settings);
        server.log.wait_for("relay state=attached");
        server
    }

    /// The same without waiting.
    pub(crate) fn start_server(&self, settings: &[&str]) -> Server {
        let relay = self.setting();
        let settings: Vec<&str> = [&*relay]
            .into_iter()
            .chain(settings.iter().copied())
            .collect();
        Server::start(&settings)
    }

    /// Two servers that know each other, with a log of all that there is.
    pub(crate) fn two_traced_servers(&self, settings: &[&str]) -> [Server; 2] {
        let relay = self.setting();
        let settings: Vec<&str> = [&*relay]
            .into_iter()
            .chain(settings.iter().copied())
            .collect();
        let servers = [(); 2].map(|()| Server::start_traced(&settings));
        for server in &servers {
            server.log.wait_for("relay state=attached");
        }
        meet(&servers);
        servers
    }

    /// Two servers that know each other.
    pub(crate) fn two_servers(&self, settings: &[&str]) -> [Server; 2] {
        let servers = [self.server(settings), self.server(settings)];
        meet(&servers);
        servers
    }
}

/// Waits until each server knows all the others.
pub(crate) fn meet(servers: &[Server]) {
    let others = servers.len() - 1;
    for server in servers {
        eventually("it knows the others", || {
            server.signal(Signal::USR1);
            let reports = server.log.matching("report relay=attached");
            let wanted = format!(" nodes={others} ");
            reports.last().is_some_and(|last| last.contains(&wanted))
        });
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
