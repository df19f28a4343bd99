//! A file system of 64 kB in a mount namespace of its own, which Linux gives to anybody (`unshare -rm`), unless that is
//! forbidden.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// It is there as long as this is, whoever dies in it.
pub(crate) struct SmallDisk {
    /// Does nothing but to be there.
    holder: Child,
    /// Where it is mounted, for those in the namespace.
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it over a folder, which others go on to see as it was. `None` where that is forbidden.
    pub(crate) fn mount(folder: &Path) -> Option<Self> {
        let mut holder = Command::new("unshare")
            .args(["-rm", "sh", "-c"])
            .arg("mount -t tmpfs -o size=64k none \"$0\" && echo mounted && exec cat")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut told = String::new();
        let output = holder.stdout.take().expect("it is piped");
        let read = BufReader::new(output).read_line(&mut told);
        let folder = folder.to_owned();
        let disk = Self { holder, folder };
        (read.is_ok() && told == "mounted\n").then_some(disk)
    }

    /// A command that runs a program in the namespace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--preserve-credentials", "-U", "-m", "-t"])
            .arg(self.holder.id().to_string())
            .arg(program);
        command
    }

    /// Where a file on it is for everybody.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        let folder = self.folder.strip_prefix("/").expect("an absolute path");
        let root = Path::new("/proc").join(self.holder.id().to_string());
        root.join("root").join(folder).join(file)
    }

    /// Fills it to the last byte with this file.
    pub(crate) fn fill(&self, file: &str) {
        // Only as much is written as there is space for.
        let filled = fs::write(self.path(file), vec![b'x'; 128 * 1024]);
        assert!(filled.is_err(), "there is more space than 64 kB");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
