//! The file of a Unix socket: nobody but its owner can open it from its first moment on, it appears in its place when the
//! socket listens, and it goes at the end if it is still the same.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::Mode;
use rustix::process::umask;
use socket2::{Domain, SockAddr, Socket, Type};

/// At most 128 wait to be accepted.
const BACKLOG: i32 = 128;

/// At most 16 names beside the path are tried: what is left of others who were cut short stays where it is.
const NAMES_MAX: u32 = 16;

/// Which bits of a new file are not set: all but reading and writing for its owner.
const OTHERS: u32 = 0o177;

/// The file of a socket that we have made. Dropped, it is unlinked if it is still the same.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// The device and the inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens on `path`. Only what nobody answers at any more is replaced there.
    ///
    /// # Errors
    /// If somebody answers there, or what is there is no socket, or the file cannot be made.
    pub(super) fn listen(path: &Path) -> io::Result<(UnixListener, Self)> {
        expect_nobody(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let beside = bind_beside(&socket, path)?;
        let put_in_place = || {
            socket.listen(BACKLOG)?;
            let identity = identity(&beside)?;
            fs::rename(&beside, path)?;
            Ok(identity)
        };
        match put_in_place() {
            Ok(identity) => {
                let path = path.to_owned();
                Ok((socket.into(), Self { path, identity }))
            }
            Err(error) => {
                let _ = fs::remove_file(&beside);
                Err(error)
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Fails if somebody answers there, or what is there is no socket.
fn expect_nobody(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::other("it is there and is no socket"));
        }
        other => other?,
    };
    let caller = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    caller.set_nonblocking(true)?;
    let answered = caller.connect(&SockAddr::unix(path)?);
    match answered.map_err(|error| error.kind()) {
        Err(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        // A server that lets connections wait is there.
        Ok(()) | Err(io::ErrorKind::WouldBlock) => {
            Err(io::Error::other("another server listens there"))
        }
        Err(kind) => Err(kind.into()),
    }
}

/// Binds a socket to a name beside `path` that is no longer than its own, so that it fits, and gives the name.
fn bind_beside(socket: &Socket, path: &Path) -> io::Result<PathBuf> {
    let name_bytes = path.file_name().map_or(0, std::ffi::OsStr::len);
    for number in 0..NAMES_MAX {
        let unique = process::id().wrapping_mul(NAMES_MAX) | number;
        let name = format!(".{unique:08x}");
        let beside = path.with_file_name(&name[name.len().saturating_sub(name_bytes)..]);
        let address = SockAddr::unix(&beside)?;
        // Nobody may open it, not even for the moment until its mode could be changed.
        let before = umask(Mode::from_raw_mode(OTHERS));
        let bound = socket.bind(&address);
        umask(before);
        match bound {
            Ok(()) => return Ok(beside),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{symlink, PermissionsExt};
    use std::os::unix::net::UnixStream;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// The mask of a process is the same for all its threads.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    /// A folder of its own, which goes with the test.
    struct Folder(
        PathBuf,
        #[allow(dead_code, reason = "it is held")] MutexGuard<'static, ()>,
    );

    impl Folder {
        fn new(name: &str) -> Self {
            let alone = ONE_AT_A_TIME.lock();
            let folder = std::env::temp_dir().join(format!("chatd-{name}-{}", process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).unwrap();
            Self(folder, alone.unwrap_or_else(PoisonError::into_inner))
        }

        fn path(&self) -> PathBuf {
            self.0.join("ops.sock")
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[track_caller]
    fn refusal(path: &Path) -> String {
        SocketFile::listen(path).unwrap_err().to_string()
    }

    #[test]
    fn it_is_there_alone_for_its_owner_and_goes_at_the_end() {
        let folder = Folder::new("socket");
        let (listener, file) = SocketFile::listen(&folder.path()).unwrap();
        assert_eq!(folder.names(), ["ops.sock"]);
        let mode = fs::metadata(folder.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let _caller = UnixStream::connect(folder.path()).unwrap();
        listener.accept().unwrap();
        assert_eq!(refusal(&folder.path()), "another server listens there");
        drop(file);
        assert_eq!(folder.names(), [""; 0]);
    }

    #[test]
    fn what_nobody_answers_at_is_replaced_and_what_replaced_it_stays() {
        let folder = Folder::new("replaced");
        let path = folder.path();
        drop(UnixListener::bind(&path).unwrap());
        let (first_listener, first) = SocketFile::listen(&path).unwrap();
        drop(first_listener);
        let (_second_listener, second) = SocketFile::listen(&path).unwrap();
        drop(first);
        assert_eq!(folder.names(), ["ops.sock"]);
        drop(second);
        assert_eq!(folder.names(), [""; 0]);
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = Folder::new("no-socket");
        let why = "it is there and is no socket";
        fs::write(folder.path(), "mine").unwrap();
        assert_eq!(refusal(&folder.path()), why);
        assert_eq!(fs::read(folder.path()).unwrap(), b"mine");
        assert_eq!(refusal(&folder.0), why);
        assert_eq!(refusal(Path::new("/")), why);
        let link = folder.0.join("link");
        symlink("elsewhere", &link).unwrap();
        assert_eq!(refusal(&link), why);
    }

    #[test]
    fn a_server_whose_queue_is_full_is_there() {
        let folder = Folder::new("full");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket
            .bind(&SockAddr::unix(folder.path()).unwrap())
            .unwrap();
        socket.listen(0).unwrap();
        let _waits = UnixStream::connect(folder.path()).unwrap();
        assert_eq!(refusal(&folder.path()), "another server listens there");
    }

    #[test]
    fn the_longest_path_has_a_name_beside_it() {
        let folder = Folder::new("long");
        let bytes = |path: &Path| path.as_os_str().len();
        let inner = folder.0.join("x".repeat(107 - 2 - 1 - bytes(&folder.0)));
        fs::create_dir(&inner).unwrap();
        let path = inner.join("o");
        assert_eq!(bytes(&path), 107);
        let (_listener, file) = SocketFile::listen(&path).unwrap();
        assert_eq!(file.path(), path);
        UnixStream::connect(&path).unwrap();
        drop(file);
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 0);
    }

    #[test]
    fn names_that_are_taken_are_passed_over() {
        let folder = Folder::new("taken");
        let path = folder.path();
        let taken = format!(".{:08x}", process::id().wrapping_mul(NAMES_MAX));
        fs::write(path.with_file_name(&taken[1..]), "theirs").unwrap();
        let (_listener, _file) = SocketFile::listen(&path).unwrap();
        assert_eq!(
            fs::read(path.with_file_name(&taken[1..])).unwrap(),
            b"theirs"
        );
        assert_eq!(folder.names().len(), 2);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error = SocketFile::listen(Path::new("/nonexistent/ops.sock")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
