//! The programs that a system may have or not, and how the clients among them are called.

use std::env;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

/// Whether a program is found where programs are.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    found
}

/// Whether a client is installed, for busybox with the applet that is meant.
pub(crate) fn is_client_installed(client: &[&str]) -> bool {
    if client[0] != "busybox" || !is_installed("busybox") {
        return is_installed(client[0]);
    }
    let list = Command::new("busybox").arg("--list").output();
    list.is_ok_and(|list| {
        String::from_utf8_lossy(&list.stdout)
            .lines()
            .any(|line| line == client[1])
    })
}

/// How a client is called that is to connect to `server`: with its address in the places of HOST and PORT.
pub(crate) fn calling(client: &[&str], server: SocketAddr) -> Vec<String> {
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    let fill = |word: &&str| word.replace("HOST", &host).replace("PORT", &port);
    client.iter().map(fill).collect()
}

/// Gives a client all of `input` and then its end, and waits for its own end.
#[track_caller]
pub(crate) fn pipe(client: &[&str], server: SocketAddr, input: &str) -> Output {
    let command = calling(client, server);
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is installed");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it is our child")
}
