//! The architecture, kept true by reading the sources: who may use what, how long a file may be, and what must not
//! stand in it. The rules are at the top of each test; a change that breaks one changes it here, and says why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of the crate each module may use. All of them are further down in this list, so there is no circle.
const BELOW: &[(&str, &[&str])] = &[
    ("main", &["ctl", "server", "settings"]),
    // Another process than the server.
    ("ctl", &[]),
    (
        "server",
        &[
            "log",
            "report",
            "hub",
            "relay",
            "settings",
            "dialect",
            "ledger",
            "debts",
            "origin",
            "net",
            "when",
            "rate",
            "id",
            "stream",
            "file",
            "fields",
            "outbox",
            "histogram",
            "work",
        ],
    ),
    (
        "client",
        &["settings", "dialect", "outbox", "limits", "stream"],
    ),
    // Only how it knows the lines of a report, and of what operators do, which it must not suppress.
    ("log", &["report", "fields", "rate"]),
    ("report", &["hub", "ledger"]),
    (
        "hub",
        &[
            // What comes from other nodes, and not how.
            "relay",
            "dialect",
            "outbox",
            "limits",
            "ledger",
            "name",
            "room_name",
            "hygiene",
            "debts",
            "origin",
            "net",
            "when",
            "fields",
            "rate",
            "id",
            "histogram",
            "work",
        ],
    ),
    ("relay", &["name", "room_name", "hygiene", "fields"]),
    (
        "settings",
        &["dialect", "limits", "room_name", "net", "rate", "file"],
    ),
    (
        "dialect",
        &["ledger", "name", "room_name", "hygiene", "when", "work"],
    ),
    // The leaves.
    ("outbox", &["limits", "ledger"]),
    ("limits", &["rate"]),
    ("ledger", &["name", "fields", "origin", "work"]),
    ("room_name", &["name"]),
    ("name", &["hygiene", "skeleton"]),
    ("skeleton", &[]),
    ("hygiene", &[]),
    ("debts", &["origin", "rate"]),
    ("origin", &[]),
    ("net", &[]),
    ("when", &[]),
    ("fields", &[]),
    ("rate", &[]),
    ("id", &[]),
    ("stream", &[]),
    ("file", &[]),
    ("fields", &[]),
    ("histogram", &[]),
    ("work", &[]),
];

/// Where other crates may be used: whatever begins with one of these paths.
const CRATES: &[(&str, &[&str])] = &[
    (
        "mio",
        &[
            "src/server/",
            "src/client",
            "src/stream.rs",
            "src/stream/secured.rs",
        ],
    ),
    (
        "socket2",
        &["src/server/", "src/client", "src/stream.rs", "src/ctl.rs"],
    ),
    ("signal_hook", &["src/server/"]),
    ("signal_hook_mio", &["src/server/"]),
    ("slab", &["src/server/", "src/hub/", "src/client/"]),
    ("httparse", &["src/server/monitor/", "src/dialect/web/"]),
    ("sha1_smol", &["src/dialect/web/"]),
    ("getopts", &["src/settings", "src/bin/", "src/ctl.rs"]),
    (
        "rustix",
        &[
            "src/bin/chatload/load/",
            "src/server/admission.rs",
            "src/server/listener.rs",
            "src/server/mod.rs",
            "src/server/notify.rs",
            "src/server/socket_file.rs",
            "src/log.rs",
            "src/report.rs",
            "src/file.rs",
        ],
    ),
    ("listenfd", &["src/main.rs"]),
    // The provider is one line of that file.
    ("rustls", &["src/stream/tls"]),
    ("nix", &["src/server/signals.rs", "src/server/kernel.rs"]),
    ("env_filter", &["src/log.rs"]),
    ("env_logger", &["src/log.rs", "src/bin/"]),
];

/// What does not belong into the parts that are pure: no input, no output, no clock, no chance.
const IMPURE: &[&str] = &[
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "io::Read",
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "std::sync",
    "::now()",
];
const PURE: &[&str] = &[
    "src/hub/",
    "src/dialect/",
    "src/histogram.rs",
    "src/hygiene.rs",
    "src/id.rs",
    "src/ledger.rs",
    "src/limits.rs",
    "src/name.rs",
    "src/net.rs",
    "src/origin.rs",
    "src/outbox.rs",
    "src/rate.rs",
    "src/relay/",
    "src/room_name.rs",
    "src/when.rs",
];

/// Who asks the clock: everybody else is told the time.
const CLOCKS: &[&str] = &[
    "src/server/kernel.rs",
    "src/client",
    "src/log.rs",
    "src/log/line.rs",
    "src/bin/",
];

/// What ends the program, but for the places where it cannot happen or is wanted.
const PANICS: &[&str] = &[
    "unwrap()",
    ".expect(",
    ".expect_err(",
    "panic!",
    "todo!",
    "unimplemented!",
    "unreachable!",
];
const PANICS_WITH_REASON: &[(&str, &str)] = &[
    // A client owns its one connection from beginning to end.
    ("src/client/mod.rs", "unreachable!"),
];

/// A longer file, without its tests, has more than one idea.
const LINES_MAX: usize = 500;

/// One file of the sources.
struct Source {
    /// From the root of the repository.
    path: String,
    text: String,
}

impl Source {
    /// Its code: without its tests, which are at its end.
    fn code(&self) -> &str {
        let tests = ["mod tests", "impl"]
            .into_iter()
            .flat_map(|begins| TESTS.map(|attribute| format!("\n{attribute}\n{begins}")));
        let ends = tests.filter_map(|begins| self.text.find(&begins));
        &self.text[..ends.min().unwrap_or(self.text.len())]
    }

    /// The lines of its code that are no comments, numbered from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code().lines().map(str::trim).enumerate();
        lines
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.starts_with("//"))
    }

    /// The module right below the crate that it is part of.
    fn module(&self) -> &str {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').next().unwrap_or(path)
    }

    fn is_in(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| self.path.starts_with(path))
    }
}

/// What stands before that which only tests have, or they and what stands outside for them.
const TESTS: [&str; 2] = ["#[cfg(test)]", "#[cfg(any(test, feature = \"internals\"))]"];

/// The sources of the crate, but those that are tests as a whole: `#[cfg(test)] mod transcripts;`, and `internals`.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all: Vec<Source> = files(&root.join("src"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| Source {
            text: fs::read_to_string(&path).expect("it is there"),
            path: path
                .strip_prefix(root)
                .expect("below it")
                .to_string_lossy()
                .into_owned(),
        })
        .collect();
    assert!(all.len() > 30, "the sources are not found");
    let tests: BTreeSet<String> = all
        .iter()
        .flat_map(|source| {
            let begins = TESTS.map(|attribute| format!("\n{attribute}\nmod "));
            begins.into_iter().flat_map(|begins| {
                let rests = source.text.split(&begins).skip(1);
                rests.map(str::to_owned).collect::<Vec<_>>()
            })
        })
        .filter_map(|rest| Some(rest.split_once(['{', ';'])?.0.trim().to_owned()))
        .chain(["internals".to_owned()])
        .collect();
    let is_test = |source: &Source| {
        let path = source.path.trim_end_matches(".rs");
        path.split('/').any(|part| tests.contains(part))
    };
    all.into_iter().filter(|source| !is_test(source)).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Every use of `name::` in a line, and what follows.
fn uses<'a>(line: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(name).filter_map(move |(at, _)| {
        let is_word = |char: char| char.is_alphanumeric() || char == '_' || char == ':';
        let own_word = !line[..at].ends_with(is_word);
        line[at + name.len()..]
            .strip_prefix("::")
            .filter(|_| own_word)
    })
}

#[track_caller]
fn expect_none(broken: &[String]) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Collects the lines of code that break a rule.
fn lines_that(breaks: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for source in &sources() {
        for (number, line) in source.lines().filter(|(_, line)| breaks(source, line)) {
            broken.push(format!("{}:{number}: {line}", source.path));
        }
    }
    broken
}

#[test]
fn imports_point_down() {
    let known: BTreeSet<&str> = BELOW.iter().map(|(module, _)| *module).collect();
    let missing: Vec<String> = sources()
        .iter()
        .map(Source::module)
        .filter(|module| !["lib", "bin"].contains(module) && !known.contains(module))
        .map(|module| format!("where does {module} stand?"))
        .collect();
    expect_none(&missing);
    for (index, (module, below)) in BELOW.iter().enumerate() {
        for other in *below {
            let mut further_down = BELOW[index + 1..].iter();
            let found = further_down.any(|(name, _)| name == other);
            assert!(found, "{module} is not above {other}");
        }
    }
    expect_none(&lines_that(|source, line| {
        let below = BELOW.iter().find(|(module, _)| *module == source.module());
        let mut used = uses(line, "crate").chain(uses(line, "chatd"));
        below.is_some_and(|(module, below)| {
            used.any(|path| {
                let path: &str = path
                    .split(|char: char| !(char.is_alphanumeric() || char == '_'))
                    .next()
                    .unwrap_or("");
                path != *module && !below.contains(&path)
            })
        })
    }));
}

/// No file of the library uses one that uses it, by whatever detour: what two of them share lies below both.
#[test]
fn files_use_each_other_without_a_circle() {
    let sources = sources();
    let library = sources
        .iter()
        .filter(|source| !source.is_in(&["src/bin/", "src/main.rs", "src/ctl.rs"]));
    let modules: BTreeMap<Vec<String>, &Source> = library
        .map(|source| (module_path(source), source))
        .collect();
    assert!(modules.len() > 50, "the modules are not found");
    let used: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = modules
        .iter()
        .map(|(module, source)| {
            let paths = paths_of(source, module);
            let files = paths.iter().filter_map(|path| {
                let lengths = (1..=path.len()).rev();
                let mut known = lengths.filter_map(|length| modules.get_key_value(&path[..length]));
                known.next().map(|(file, _)| file)
            });
            (module, files.filter(|file| *file != module).collect())
        })
        .collect();
    let (mut done, mut circles) = (BTreeSet::new(), Vec::new());
    for module in modules.keys() {
        walk(module, &used, &mut Vec::new(), &mut done, &mut circles);
    }
    expect_none(&circles);
}

/// Follows what a module uses; adds the circles that it meets on its way.
fn walk<'a>(
    module: &'a Vec<String>,
    used: &BTreeMap<&'a Vec<String>, BTreeSet<&'a Vec<String>>>,
    way: &mut Vec<&'a Vec<String>>,
    done: &mut BTreeSet<&'a Vec<String>>,
    circles: &mut Vec<String>,
) {
    if let Some(begin) = way.iter().position(|passed| *passed == module) {
        let circle = way[begin..].iter().chain([&module]);
        let circle: Vec<String> = circle.map(|module| module.join("::")).collect();
        return circles.push(circle.join(" -> "));
    }
    if done.contains(module) {
        return;
    }
    way.push(module);
    for below in &used[module] {
        walk(below, used, way, done, circles);
    }
    way.pop();
    done.insert(module);
}

/// `src/hub/room/mod.rs` is `hub::room`.
fn module_path(source: &Source) -> Vec<String> {
    let path = source.path.trim_start_matches("src/");
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// The paths within the crate that a file names, from the root of the crate.
fn paths_of(source: &Source, module: &[String]) -> Vec<Vec<String>> {
    let code: Vec<&str> = source.lines().map(|(_, line)| line).collect();
    // How far something is visible is no use of it.
    let code = code.join(" ").replace("(in crate::", "(");
    let children: Vec<&str> = code
        .split("mod ")
        .skip(1)
        .filter_map(|rest| rest.split_once([';', '{']).map(|(name, _)| name.trim()))
        .collect();
    let mut paths = Vec::new();
    for statement in code.split("use ").skip(1) {
        let tree = statement.split(';').next().unwrap_or("");
        expand(tree, &[], &mut paths);
    }
    for (at, _) in code.match_indices("crate::") {
        let path = code[at..].split(|char: char| !(char.is_alphanumeric() || "_:".contains(char)));
        let path = path.take(1).flat_map(|path| path.split("::"));
        paths.push(path.map(str::to_owned).collect());
    }
    let within = paths.into_iter().filter_map(|path| {
        let (first, rest) = path.split_first()?;
        let from = match first.as_str() {
            "crate" => &[],
            "super" => &module[..module.len() - 1],
            "self" => module,
            child if children.contains(&child) => return Some([module, &path].concat()),
            _ => return None,
        };
        Some([from, rest].concat())
    });
    within.collect()
}

/// Adds every path of a tree as it stands in `use`: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &str, before: &[String], paths: &mut Vec<Vec<String>>) {
    let (head, group) = tree.split_once('{').unwrap_or((tree, ""));
    let head = head.split(" as ").next().unwrap_or(head);
    let head = head.split("::").map(|part| part.trim().to_owned());
    let path: Vec<String> = before
        .iter()
        .cloned()
        .chain(head.filter(|part| !part.is_empty()))
        .collect();
    let Some(end) = group.rfind('}') else {
        return paths.push(path);
    };
    let (mut depth, mut begin) = (0, 0);
    for (at, char) in group[..end].char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&group[begin..at], &path, paths);
                begin = at + 1;
            }
            _ => {}
        }
    }
    expand(&group[begin..end], &path, paths);
}

/// What users of the library need; all else is the inside.
#[test]
fn three_modules_are_public() {
    let sources = sources();
    let lib = sources.iter().find(|source| source.path == "src/lib.rs");
    let lines: Vec<&str> = lib.expect("it is there").text.lines().collect();
    let public = lines.windows(2).filter_map(|pair| {
        let is_public = pair[1].starts_with("pub ") && pair[0] != "#[doc(hidden)]";
        is_public.then_some(pair[1])
    });
    let modules = ["pub mod client;", "pub mod server;", "pub mod settings;"];
    assert_eq!(public.collect::<Vec<_>>(), modules);
}

#[test]
fn other_crates_are_used_where_they_belong() {
    expect_none(&lines_that(|source, line| {
        CRATES
            .iter()
            .any(|(name, paths)| !source.is_in(paths) && uses(line, name).next().is_some())
    }));
}

#[test]
fn the_core_is_pure() {
    expect_none(&lines_that(|source, line| {
        source.is_in(PURE) && IMPURE.iter().any(|word| line.contains(word))
    }));
}

#[test]
fn time_is_an_argument() {
    expect_none(&lines_that(|source, line| {
        let asks = ["Instant::now", "SystemTime::now"]
            .iter()
            .any(|word| line.contains(word));
        asks && !source.is_in(CLOCKS)
    }));
}

#[test]
fn nothing_panics_but_what_has_a_reason() {
    expect_none(&lines_that(|source, line| {
        PANICS.iter().any(|word| {
            let has_reason = PANICS_WITH_REASON.contains(&(source.path.as_str(), word));
            line.contains(word) && !has_reason && !source.is_in(&["src/bin/"])
        })
    }));
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut broken = Vec::new();
    for source in &sources() {
        let lines = source.code().lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{}: {lines} lines", source.path));
        }
        // So every module is documented, as what it is in the documentation begins its file.
        if !source.text.starts_with("//! ") {
            broken.push(format!("{}: does not begin with what it is", source.path));
        }
    }
    expect_none(&broken);
}

/// SECURITY.md says so; what a test must do that counts allocations, no program does.
#[test]
fn programs_have_no_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in ["src/lib.rs", "src/main.rs", "src/bin/chatload/main.rs"] {
        let text = fs::read_to_string(root.join(path)).expect("it is there");
        let forbids = text.contains("\n#![forbid(unsafe_code)]\n");
        assert!(forbids, "{path} does not forbid unsafe code");
    }
}

/// A link from one page to another, or to a part of one, leads there.
#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = files(&root.join("docs"));
    let beside = [
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ];
    pages.extend(beside.map(|name| root.join(name)));
    let (mut links, mut broken) = (0, Vec::new());
    for page in &pages {
        let text = fs::read_to_string(page).expect("it is there");
        for (_, target) in text
            .match_indices("](")
            .map(|(at, _)| text.split_at(at + 2))
        {
            let target = target.split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (path, part) = target.split_once('#').unwrap_or((target, ""));
            let folder = page.parent().expect("a folder");
            let path = if path.is_empty() {
                page.clone()
            } else {
                folder.join(path)
            };
            let is_there = path.exists()
                && (part.is_empty()
                    || fs::read_to_string(&path).is_ok_and(|text| has_part(&text, part)));
            if !is_there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(links > 30, "{links} links");
    expect_none(&broken);
}

/// Whether a page has a heading that is linked to by this word.
fn has_part(text: &str, part: &str) -> bool {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .any(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.collect::<String>().replace(' ', "-") == part
        })
}

/// Places that are only on the machine of the one who wrote it.
#[test]
fn no_paths_of_a_machine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "src",
        "tests",
        "benches",
        "examples",
        "dist",
        ".ci",
        "fuzz/corpus",
        "fuzz/fuzz_targets",
    ];
    // A package of the sources has not all of them.
    let folders = folders.map(|folder| root.join(folder));
    let folders = folders.iter().filter(|folder| folder.is_dir());
    let mut paths: Vec<PathBuf> = folders.flat_map(|folder| files(folder)).collect();
    for folder in [root, &root.join("fuzz")] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        paths.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| is_ours(path)),
        );
    }
    assert!(paths.len() > 150, "the files are not found");
    // In pieces, or this file would have them.
    let machine = ["work", "tmp", "home", "root", "Users"].map(|folder| format!("/{folder}/"));
    let mut broken = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).expect("it is there");
        let text = String::from_utf8_lossy(&bytes);
        let found = machine.iter().filter(|folder| text.contains(*folder));
        broken.extend(found.map(|folder| format!("{}: {folder}", path.display())));
    }
    expect_none(&broken);
}

/// Whether a file beside the folders belongs to the sources; builds and their owners may leave others there.
fn is_ours(path: &Path) -> bool {
    let is_named = |name: &str| path.file_name().is_some_and(|found| found == name);
    let extension = path.extension().and_then(|extension| extension.to_str());
    is_named("run") || matches!(extension, Some("md" | "toml" | "rs"))
}
