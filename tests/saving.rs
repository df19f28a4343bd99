//! The file of rules on a disk that is full: the old file is there, whole, what was said is in force, and it is saved when
//! there is space again.

mod support;

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::Signal;
use support::operator::Place;
use support::server::{chatd, Server};

/// Set where a test runs beside a small disk, which is there.
const SMALL_DISK: &str = "CHATD_TEST_SMALL_DISK";

const PAGE: usize = 4096;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let may_mount = env::var_os(SMALL_DISK).is_some() || is_done(&mut beside_a_small_disk("true"));
    for (name, test) in [
        (
            "a disk that is full keeps the old rules, whole, and the new one is in force",
            full_disk as fn(&Path),
        ),
        (
            "a disk that has no place for one more file does so, too",
            full_of_files,
        ),
    ] {
        let run = move || match env::var_os(SMALL_DISK) {
            Some(disk) => {
                test(Path::new(&disk));
                Ok(())
            }
            None => run_beside_a_small_disk(name),
        };
        trials.push(Trial::test(name, run).with_ignored_flag(!may_mount));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A program beside a disk of 64 kB and 24 files, which only it and its children see: Linux gives one to anybody
/// (`unshare -rm`), unless that is forbidden.
fn beside_a_small_disk(program: &str) -> Command {
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small-disk");
    fs::create_dir_all(&disk).expect("a folder");
    let mut command = Command::new("unshare");
    command
        .args(["-rm", "sh", "-c"])
        .arg("mount -t tmpfs -o size=64k,nr_inodes=24 none \"$0\" && exec \"$@\"")
        .arg(&disk)
        .arg(program)
        .env(SMALL_DISK, &disk);
    command
}

fn is_done(command: &mut Command) -> bool {
    let output = command.output();
    output.is_ok_and(|output| output.status.success())
}

fn run_beside_a_small_disk(name: &str) -> Result<(), Failed> {
    let program = env::current_exe()?;
    let mut command = beside_a_small_disk(&program.to_string_lossy());
    let output = command.args(["--exact", name]).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && told.contains(" 1 passed;") {
        return Ok(());
    }
    let log = String::from_utf8_lossy(&output.stderr);
    Err(format!("beside a small disk:\n{told}\n{log}").into())
}

/// Starts a server that keeps something in this file.
#[track_caller]
fn start(command: &mut Command, place: &Place, key: &str, file: &Path) -> Server {
    command.args(["-l", "127.0.0.1:0", "-l", &place.endpoint()]);
    command.args(["-o", &format!("{key}={}", file.display())]);
    let server = Server::spawn(command);
    server.output.wait_for("listening ops://");
    server
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("it is there")
}

/// A server beside a small disk whose file of rules has two pages, and an operator.
struct Scene {
    place: Place,
    server: Server,
    file: PathBuf,
    /// What the file says before anything is changed.
    old: String,
}

impl Scene {
    fn new(disk: &Path) -> Self {
        let comment = format!("# {}\n", "x".repeat(77));
        let old = comment.repeat(2 * PAGE / comment.len()) + "ban 198.51.100.1\n";
        let file = disk.join("bans");
        fs::write(&file, &old).expect("there is space");
        let place = Place::new();
        let server = start(&mut chatd(), &place, "bans-file", &file);
        Self {
            place,
            server,
            file,
            old,
        }
    }

    /// Somebody is banned, which cannot be saved, and holds all the same; and a server that was killed then is started
    /// with the old rules.
    fn is_not_saved(&mut self) {
        let mut operator = self.place.connect();
        let answer = operator.ask("ban 198.51.100.7 forever spam").pop();
        assert_eq!(
            answer.as_deref(),
            Some("-- ban 2: 198.51.100.7 forever; 0 sessions closed; not saved: No space left on device")
        );
        self.server.log.wait_for("WARN bans-file ");
        assert_eq!(read(&self.file), self.old);
        assert!(!self.file.with_extension("new").exists());
        assert_eq!(operator.ask("bans").len(), 3);
        self.server.signal(Signal::KILL);
        self.server.wait();
        self.server = start(&mut chatd(), &self.place, "bans-file", &self.file);
        assert_eq!(self.place.connect().ask("bans").len(), 2);
    }

    /// Somebody is banned, which cannot be saved; when there is space again, both are with the next rule.
    fn is_saved(&mut self, make_space: impl FnOnce()) {
        let answer = self.place.connect().ask("ban 198.51.100.7 forever spam");
        let ends = "; not saved: No space left on device";
        assert!(answer[0].ends_with(ends), "{answer:?}");
        make_space();
        let answer = self.place.connect().ask("mute 198.51.100.8 forever").pop();
        assert_eq!(
            answer.as_deref(),
            Some("-- mute 3: 198.51.100.8 forever; 0 sessions")
        );
        self.server.log.wait_for(" is saved again");
        let text = read(&self.file);
        let added = text
            .strip_prefix(&self.old)
            .expect("what was there is there");
        let added: Vec<&str> = added.lines().collect();
        assert!(
            added[0].starts_with("ban 198.51.100.7 forever at="),
            "{added:?}"
        );
        assert!(
            added[1].starts_with("mute 198.51.100.8 forever at="),
            "{added:?}"
        );
        assert_eq!(added.len(), 2);
    }
}

fn full_disk(disk: &Path) {
    let mut scene = Scene::new(disk);
    let filler = disk.join("filler");
    // So many pages are left: none, or enough for a part of the new file.
    for left in 0..=2 {
        let mut file = File::create(&filler).expect("there is a place");
        while file.write_all(&[0; PAGE]).is_ok() {}
        let length = file.metadata().expect("it is open").len();
        let cut = file.set_len(length - left * PAGE as u64);
        cut.expect("it may be shorter");
        scene.is_not_saved();
    }
    scene.is_saved(|| fs::remove_file(filler).expect("it is there"));
}

fn full_of_files(disk: &Path) {
    let mut scene = Scene::new(disk);
    let fillers = (0..).map(|n| disk.join(format!("filler{n}")));
    let made: Vec<PathBuf> = fillers.take_while(|it| File::create(it).is_ok()).collect();
    scene.is_not_saved();
    scene.is_saved(|| {
        for filler in made {
            fs::remove_file(filler).expect("it is there");
        }
    });
}
