//! What is installed: the Debian package has what it should, in working order, and systemd accepts the units.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::Ended;

const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging");

/// Whether a program is there: what only Debian, or only systemd, has can't be tested elsewhere.
fn is_there(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if !found {
        eprintln!("{program} is not there: not tested");
    }
    found
}

fn run(command: &mut Command) -> String {
    let ended = Ended::from(command.output().unwrap()).code(0);
    String::from_utf8(ended.stdout).unwrap()
}

/// Builds the package of the binary under test into `folder`.
fn build(folder: &Path) -> PathBuf {
    let mut build = Command::new(format!("{PACKAGING}/deb/build"));
    build.arg(env!("CARGO_BIN_EXE_tieline")).arg(folder).env("DEB_COMPRESSION", "none");
    PathBuf::from(run(&mut build).trim_end())
}

#[test]
fn the_package_holds_what_is_installed_in_working_order() {
    if !is_there("dpkg-deb") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let package = build(folder.path());
    let field = |name: &str| run(Command::new("dpkg-deb").arg("--field").arg(&package).arg(name)).trim_end().to_owned();
    assert_eq!((field("Package").as_str(), field("Version").as_str()), ("tieline", env!("CARGO_PKG_VERSION")));
    assert!(field("Depends").contains("libc6 (>= 2.") || cfg!(target_env = "musl"), "{}", field("Depends"));
    assert!(field("Installed-Size").parse::<u64>().unwrap() > 1000);

    // All of it is root's, and nobody else may write.
    let listing = run(Command::new("dpkg-deb").arg("--contents").arg(&package));
    for line in listing.lines() {
        let mode = line.split_whitespace().next().unwrap();
        assert!(line.contains(" root/root ") && &mode[8..9] == "-" && &mode[5..6] == "-", "{line}");
    }
    let root = folder.path().join("root");
    run(Command::new("dpkg-deb").arg("--raw-extract").arg(&package).arg(&root));
    let is_file = |path: &str| assert!(root.join(path).metadata().is_ok_and(|it| it.len() > 0), "{path} is missing");
    for path in [
        "usr/lib/systemd/system/tieline.service",
        "usr/lib/systemd/system/tieline.socket",
        "usr/lib/systemd/system/tieline-http.socket",
        "usr/lib/sysusers.d/tieline.conf",
        "usr/share/bash-completion/completions/tieline",
        "usr/share/zsh/vendor-completions/_tieline",
        "usr/share/fish/vendor_completions.d/tieline.fish",
        "usr/share/doc/tieline/copyright",
        "usr/share/doc/tieline/changelog.gz",
        "usr/share/doc/tieline/NEWS.md.gz",
        "usr/share/doc/tieline/README.md",
    ] {
        is_file(path);
    }
    // A page for each command that the help lists.
    let help = run(Command::new(root.join("usr/bin/tieline")).arg("--help"));
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<_> = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(commands.len() > 8, "{help}");
    for command in commands.into_iter().filter(|command| !command.is_empty() && *command != "help") {
        is_file(&format!("usr/share/man/man1/tieline-{command}.1.gz"));
    }
    is_file("usr/share/man/man1/tieline.1.gz");
    // What the package says of its files is so.
    run(Command::new("md5sum").args(["--check", "--quiet", "DEBIAN/md5sums"]).current_dir(&root));
    assert_eq!(fs::read_to_string(root.join("DEBIAN/conffiles")).unwrap(), "/etc/tieline/tieline.toml\n");
    for script in ["postinst", "prerm", "postrm"] {
        run(Command::new("sh").arg("-n").arg(root.join("DEBIAN").join(script)));
    }
    let settings = root.join("etc/tieline/tieline.toml");
    run(Command::new(root.join("usr/bin/tieline")).args(["serve", "--check", "--config"]).arg(settings));
}

#[test]
fn the_same_source_makes_the_same_package() {
    if !is_there("dpkg-deb") {
        return;
    }
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = |folder: &Path| fs::read(build(folder)).unwrap();
    assert!(bytes(first.path()) == bytes(second.path()));
}

#[test]
fn every_setting_that_the_file_shows_is_one_with_a_value_that_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(format!("{PACKAGING}/config/tieline.toml")).unwrap();
    let shown = text.lines().filter_map(|line| line.strip_prefix("# ").filter(|line| line.contains(" = ")));
    // Files that aren't there are another matter.
    let shown: Vec<_> = shown.filter(|line| !line.contains("/etc/")).collect();
    assert!(shown.len() >= 3, "{shown:?}");
    let path = folder.path().join("tieline.toml");
    fs::write(&path, shown.join("\n")).unwrap();
    run(support::tieline(["serve", "--check", "--config"]).arg(path));
}

const UNITS: [&str; 3] = ["tieline.service", "tieline.socket", "tieline-http.socket"];

#[test]
fn systemd_accepts_the_units_and_finds_little_exposed() {
    if !is_there("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for unit in UNITS {
        let text = fs::read_to_string(format!("{PACKAGING}/systemd/{unit}")).unwrap();
        // Where the binary will be is not where it is now.
        let text = text.replace("/usr/bin/tieline", env!("CARGO_BIN_EXE_tieline"));
        assert!(unit != "tieline.service" || text.contains(env!("CARGO_BIN_EXE_tieline")));
        fs::write(folder.path().join(unit), text).unwrap();
    }
    for unit in UNITS {
        let output =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(folder.path().join(unit)).output();
        let ended = Ended::from(output.unwrap()).code(0);
        assert!(!ended.stderr.contains(unit), "{}", ended.stderr);
    }
    // 2.0 of 10, where 10 is everything.
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=20", "--no-pager"]);
    run(security.arg(folder.path().join("tieline.service")));
}

#[test]
fn both_ways_to_the_container_make_the_same_image() {
    let file = |name: &str| fs::read_to_string(format!("{PACKAGING}/container/{name}")).unwrap();
    let (given, built) = (file("Containerfile"), file("Containerfile.source"));
    // Where the binary is taken from is all that differs.
    let image = |text: &str| {
        let (_, image) = text.split_once("FROM scratch\n").expect("an image of its own");
        let (copied, rest): (Vec<_>, Vec<_>) = image.lines().partition(|line| line.starts_with("COPY "));
        assert!(copied.len() == 1 && copied[0].ends_with(" /tieline"), "{copied:?}");
        rest.join("\n")
    };
    assert_eq!(image(&given), image(&built));
    // What it runs is something that the command takes.
    let words = given.lines().find_map(|line| line.strip_prefix("CMD ")).expect("a command");
    let words: Vec<String> = serde_json::from_str(words).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("tieline.toml");
    fs::write(&settings, "").unwrap();
    let settings = settings.to_str().unwrap();
    let words = words.iter().map(|word| if word.starts_with("/etc/") { settings } else { word });
    run(support::tieline(words).arg("--check"));
}

#[test]
fn the_scripts_that_test_it_elsewhere_are_whole() {
    for script in ["deb/build", "container/build", "container/test"] {
        run(Command::new("bash").arg("-n").arg(format!("{PACKAGING}/{script}")));
    }
    let scripts = fs::read_dir(format!("{PACKAGING}/tests")).unwrap();
    let scripts = scripts.chain(fs::read_dir(format!("{PACKAGING}/tests/guest")).unwrap());
    for script in scripts.map(|entry| entry.unwrap().path()).filter(|path| path.is_file() && path.extension().is_none())
    {
        run(Command::new("bash").arg("-n").arg(script));
    }
}
