//! From settings to the server's configuration: defaults, and what a setting may not be.

use tieline::Address;
use tieline_server::{Access, Config, LIMITS, TokenRule};

use super::limits::show;
use super::settings::Settings;
use crate::exit::{self, Failure};
use crate::{address, token};

/// Where to listen: what the settings say, or the default.
///
/// # Panics
/// Never: the default is an address.
pub(super) fn addresses(settings: &Settings) -> Vec<Address> {
    if settings.listen.is_empty() {
        return vec![address::DEFAULT.parse().expect("the default is an address")];
    }
    settings.listen.clone()
}

/// The most threads that the settings may ask for.
const THREADS_MAX: usize = 1024;

/// How many threads serve: what the settings say, or one a core.
///
/// # Errors
/// If it is none, or more than anybody can mean.
pub(crate) fn threads(settings: &Settings) -> Result<usize, Failure> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    match settings.threads {
        Some(threads) if !(1..=THREADS_MAX).contains(&threads) => {
            Err(Failure::new(exit::CONFIG, format!("threads is {threads}; it may be 1 to {THREADS_MAX}")))
        }
        threads => Ok(threads.unwrap_or_else(cores)),
    }
}

/// The tokens, if the settings name a file of them.
///
/// # Errors
/// If it can't be read, or is wrong.
pub(super) fn tokens(settings: &Settings) -> Result<Option<Vec<TokenRule>>, Failure> {
    settings.tokens.as_deref().map(token::file::read).transpose()
}

/// The server's configuration.
///
/// # Errors
/// If a setting is outside of its bounds, or the tokens can't stand together.
pub(crate) fn config(settings: &Settings, tokens: Option<&[TokenRule]>) -> Result<Config, Failure> {
    let mut config = Config::default();
    for limit in LIMITS {
        if let Some(value) = settings.value(limit.name) {
            limit.set(&mut config, value).map_err(|_| {
                let (least, most) = (show(limit, limit.least), show(limit, limit.most));
                let words = format!("{} is {}; it may be {least} to {most}", limit.name, show(limit, value));
                Failure::new(exit::CONFIG, words)
            })?;
        }
    }
    if let Some(rules) = tokens {
        config.access = Access::with_tokens(rules.iter().cloned())
            .map_err(|error| Failure::new(exit::CONFIG, error.to_string()))?;
    }
    config.validate().map_err(|error| Failure::new(exit::CONFIG, error.to_string()))?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::toml_file::parse;

    fn of(text: &str) -> Result<Config, Failure> {
        config(&parse(text).unwrap(), None)
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let made = of("drain = '3s'").unwrap();
        assert_eq!(made.drain, Duration::from_secs(3));
        assert_eq!(made.memory, Config::default().memory);
        assert_eq!(made.limits, Config::default().limits);
        assert_eq!(addresses(&Settings::default())[0].to_string(), address::DEFAULT);
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_its_bounds() {
        let failure = of("payload = 1024").unwrap_err();
        assert_eq!(failure.words, "payload is 1 KiB; it may be 32 KiB to 1 MiB");
        assert_eq!(failure.status, exit::CONFIG);
        assert_eq!(threads(&parse("threads = 0").unwrap()).unwrap_err().words, "threads is 0; it may be 1 to 1024");
        assert_eq!(threads(&parse("threads = 1025").unwrap()).unwrap_err().status, exit::CONFIG);
        assert_eq!(threads(&parse("threads = 3").unwrap()).unwrap(), 3);
        assert!(of("connections = 0").unwrap_err().words.starts_with("connections is 0"));
        assert!(of("ping = '16s'").unwrap_err().words.contains("it may be 1ms to 15s"));
    }
}
