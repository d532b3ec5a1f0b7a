//! Spinners: one process a core at `SCHED_IDLE`, which keeps the cores awake and takes nothing from anybody. A virtual
//! machine whose cores halt between messages measures its hypervisor.

use super::child::{self, Child};
use crate::machine;

/// Starts one a core; they end when this is dropped.
///
/// # Errors
/// If they can't be started.
pub fn start() -> anyhow::Result<Vec<Child>> {
    let program = std::env::current_exe()?;
    (0..machine::cores())
        .map(|core| {
            let mut command = child::command("chrt", Some(core));
            Child::start(command.args(["--idle", "0"]).arg(&program).arg("spin"))
        })
        .collect()
}

/// Is one until its process is ended.
pub fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}
