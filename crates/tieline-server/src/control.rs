//! Changing a server while it runs.

use std::sync::Arc;

use crate::config::{Config, ConfigError};
use crate::hub::Hub;
use crate::limits::{Change, LIMITS};

/// Changes the settings of a server that runs. Tokens are changed by [`crate::Access::replace`].
#[derive(Clone, Debug)]
pub struct Control(pub(crate) Arc<Hub>);

/// What became of new settings, by the names of the limits that differ from what they were.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Applied {
    /// Those that hold from now on.
    pub now: Vec<&'static str>,
    /// Those that hold for connections from now on.
    pub for_new_connections: Vec<&'static str>,
    /// Those that need the server to be started anew. They are as before.
    pub with_a_restart: Vec<&'static str>,
}

impl Control {
    /// The settings as they are.
    pub fn config(&self) -> Arc<Config> {
        self.0.config()
    }

    /// Applies what can be applied of these settings. Only [limits](crate::LIMITS) are looked at.
    ///
    /// # Errors
    /// If one of them can't be; then nothing has changed.
    pub fn apply(&self, config: &Config) -> Result<Applied, ConfigError> {
        config.validate()?;
        let mut running = Config::clone(&self.0.config());
        let mut applied = Applied::default();
        for limit in LIMITS {
            let value = limit.of(config);
            if value == limit.of(&running) {
                continue;
            }
            match limit.change {
                Change::AtOnce => applied.now.push(limit.name),
                Change::NewConnections => applied.for_new_connections.push(limit.name),
                Change::Restart => {
                    applied.with_a_restart.push(limit.name);
                    continue;
                }
            }
            limit.set(&mut running, value)?;
        }
        self.0.set_config(running);
        Ok(applied)
    }
}
