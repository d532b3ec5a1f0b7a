//! Runs this very program under callgrind, for one scenario.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{Cost, callgrind};
use crate::scenario::Scenario;
use crate::{library, rig};

/// Counts a scenario. `program` is this program, which goes the scenario's way if it is called with `once` and its name;
/// callgrind's file stays in `folder`, for `callgrind_annotate`.
///
/// # Errors
/// If valgrind isn't there, or the program fails under it.
pub fn count(scenario: &Scenario, program: &Path, folder: &Path) -> Result<Cost> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let file = folder.join(format!("{}.out", scenario.name));
    let run = Command::new(valgrind()?)
        .args(["--tool=callgrind", "--collect-atstart=no", "--dump-instr=yes"])
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--toggle-collect={}", rig::COUNTED))
        .arg(format!("--toggle-collect={}", library::COUNTED))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .args(["once", scenario.name])
        // What stands in the environment moves the stack, and with it how bytes are copied.
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .context("valgrind doesn't run")?;
    ensure!(run.status.success(), "{} under valgrind:\n{}", scenario.name, String::from_utf8_lossy(&run.stderr));
    let text = std::fs::read_to_string(&file).with_context(|| format!("{} can't be read", file.display()))?;
    let name = program.file_name().and_then(|name| name.to_str()).context("a program without a name")?;
    let tally = callgrind::read(&text, &format!("/{name}"));
    ensure!(tally.own > 0, "nothing was counted: has {} or {} another name now?", rig::COUNTED, library::COUNTED);
    let number = u64::from(scenario.runs) * u64::from(scenario.each);
    Ok(Cost {
        own: tally.own.div_ceil(number),
        // As the baseline writes it.
        allocations: (100.0 * tally.allocations as f64 / number as f64).round() / 100.0,
        all: tally.all.div_ceil(number),
    })
}

/// Where valgrind is: the program is started without an environment, so it is looked for here.
pub(super) fn valgrind() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("valgrind")).find(|file| file.is_file());
    let Some(found) = found else {
        bail!("valgrind is missing: install it, with `apt-get install valgrind` on Debian")
    };
    Ok(found)
}
