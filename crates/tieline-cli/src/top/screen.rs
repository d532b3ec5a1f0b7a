//! The table on the whole terminal, drawn again at each look.

use std::io;
use std::thread;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table};
use ratatui::{DefaultTerminal, Frame};
use tieline_server::observe::Sort;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::fetch::Server;
use super::figures::Look;
use super::table;
use crate::exit::{self, Failure};
use crate::signals::EndSignals;

/// Keys that change the order, as they are shown.
const KEYS: [(char, Sort); 10] = [
    ('a', Sort::Attention),
    ('c', Sort::Name),
    ('w', Sort::Waiting),
    ('o', Sort::Oldest),
    ('f', Sort::Free),
    ('b', Sort::Busy),
    ('r', Sort::Rate),
    ('i', Sort::In),
    ('u', Sort::Out),
    ('9', Sort::P99),
];

/// Lines that aren't channels: the summary, the header, the keys.
const OTHER_LINES: u16 = 3;

/// Advice at once, in lines, at most.
const ADVICE_MAX: usize = 3;

/// What is on the screen.
struct Screen {
    sort: Sort,
    look: Option<Look>,
    /// Why the last look failed.
    trouble: Option<String>,
}

/// Shows the server until somebody presses `q`.
///
/// # Errors
/// If the first look fails, or the terminal can't be drawn on.
pub(super) async fn run(server: &Server, sort: Sort, limit: usize, every: Duration) -> Result<(), Failure> {
    let no_terminal = |error: io::Error| {
        Failure::new(exit::NO_OUTPUT, format!("the terminal can't be used: {error}"))
            .line("without one: tieline top --once")
    };
    // Before the screen is taken: what is wrong at once is said as by any other command.
    let first = server.look(sort, 1).await?;
    let mut signals = EndSignals::listen().map_err(no_terminal)?;
    let mut terminal = ratatui::try_init().map_err(no_terminal)?;
    let mut screen = Screen { sort, look: Some(first), trouble: None };
    let ended = tokio::select! {
        ended = screen.live(&mut terminal, server, limit, every) => ended,
        () = signals.next() => Ok(()),
    };
    ratatui::restore();
    ended.map_err(no_terminal)
}

impl Screen {
    async fn live(
        &mut self,
        terminal: &mut DefaultTerminal,
        server: &Server,
        limit: usize,
        every: Duration,
    ) -> io::Result<()> {
        let mut keys = keys();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let rows = terminal.size()?.height.saturating_sub(OTHER_LINES).max(1);
                    self.take(server.look(self.sort, limit.min(rows.into())).await);
                }
                event = keys.recv() => match event {
                    Some(Pressed::Sort(sort)) => self.sort = sort,
                    Some(Pressed::Redraw) => {}
                    Some(Pressed::Quit) | None => return Ok(()),
                }
            }
            terminal.draw(|frame| self.draw(frame))?;
        }
    }

    fn take(&mut self, look: Result<Look, Failure>) {
        match look {
            Ok(look) => (self.look, self.trouble) = (Some(look), None),
            // What was seen last stays, and it is said that it is old.
            Err(failure) => self.trouble = Some(failure.words.lines().next().unwrap_or_default().to_owned()),
        }
    }

    fn draw(&self, frame: &mut Frame) {
        let Some(look) = &self.look else { return };
        let advice: Vec<String> = table::advice(look).take(ADVICE_MAX).collect();
        let [top, middle, bottom, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(2),
            Constraint::Length(advice.len() as u16),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(table::summary(look)), top);
        frame.render_widget(channels(look), middle);
        frame.render_widget(Paragraph::new(advice.into_iter().map(Line::from).collect::<Vec<_>>()), bottom);
        let style = Style::new().add_modifier(Modifier::DIM);
        frame.render_widget(Paragraph::new(self.footer()).style(style), keys);
    }

    fn footer(&self) -> String {
        if let Some(trouble) = &self.trouble {
            return format!("these figures are old: {trouble}");
        }
        let orders = KEYS.map(|(key, sort)| format!("{key} {}", sort.name())).join("  ");
        format!("by {}   {orders}   q quit", self.sort.name())
    }
}

fn channels(look: &Look) -> Table<'_> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let rows = look.page.channels.iter().map(|channel| {
        let row = Row::new(aligned(table::cells(channel)));
        if channel.start_one.is_some() { row.style(bold) } else { row }
    });
    let header =
        Row::new(aligned(table::HEADER.map(str::to_owned))).style(Style::new().add_modifier(Modifier::REVERSED));
    let widths =
        [Constraint::Min(12)].into_iter().chain([8; 9].map(Constraint::Length)).chain([Constraint::Length(10)]);
    Table::new(rows, widths).header(header)
}

/// Numbers stand at the right of their columns.
fn aligned(cells: [String; 11]) -> impl Iterator<Item = Line<'static>> {
    let last = cells.len() - 1;
    cells.into_iter().enumerate().map(move |(column, cell)| {
        let line = Line::from(cell);
        if column == 0 || column == last { line } else { line.right_aligned() }
    })
}

/// What somebody pressed that means something.
enum Pressed {
    Sort(Sort),
    Redraw,
    Quit,
}

/// The keys that are pressed, from a thread of their own: a terminal is read by waiting. It ends with the process.
fn keys() -> mpsc::Receiver<Pressed> {
    let (sender, receiver) = mpsc::channel(8);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            let pressed = match event {
                Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Pressed::Quit,
                    KeyCode::Char('q') | KeyCode::Esc => Pressed::Quit,
                    KeyCode::Char(letter) => match KEYS.iter().find(|(key, _)| *key == letter) {
                        Some((_, sort)) => Pressed::Sort(*sort),
                        None => continue,
                    },
                    _ => continue,
                },
                Event::Resize(..) => Pressed::Redraw,
                _ => continue,
            };
            if sender.blocking_send(pressed).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    fn look() -> Look {
        let overview = json!({
            "version": "0.1.0", "uptime_seconds": 5.0, "draining": false, "connections": 3, "waiting": 2, "free": 0,
            "busy": 3, "promised": 0, "memory": 1024, "rates": null,
        });
        let channel = json!({
            "id": "x", "name": "thumbs", "waiting": 2, "oldest_wait_seconds": 1.25, "free": 0, "busy": 3, "rates": null,
            "p50_seconds": 0.31, "p99_seconds": null, "stalled_on": null, "start_one": "tieline receive thumbs -- CMD",
        });
        Look::read(&overview.to_string(), &json!({ "total": 1, "channels": [channel] }).to_string()).unwrap()
    }

    #[test]
    fn the_screen_has_the_summary_the_table_what_would_help_and_the_keys() {
        let mut terminal = Terminal::new(TestBackend::new(130, 8)).unwrap();
        let screen = Screen { sort: Sort::Waiting, look: Some(look()), trouble: None };
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let text = terminal.backend().to_string();
        for part in [
            "tieline 0.1.0  up 5s",
            "CHANNEL",
            "STALLED ON",
            "thumbs",
            "Start one:  tieline receive thumbs -- CMD",
            "by waiting",
            "q quit",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn a_look_that_fails_leaves_the_last_one_and_says_that_it_is_old() {
        let mut screen = Screen { sort: Sort::Waiting, look: Some(look()), trouble: None };
        screen.take(Err(Failure::new(exit::UNAVAILABLE, "it is out of reach").line("start one")));
        assert_eq!(screen.footer(), "these figures are old: it is out of reach");
        screen.take(Ok(look()));
        assert!(screen.trouble.is_none() && screen.look.is_some());
    }

    #[test]
    fn no_key_is_given_twice_and_none_quits() {
        for (index, (key, _)) in KEYS.iter().enumerate() {
            assert!(*key != 'q' && KEYS[index + 1..].iter().all(|(other, _)| other != key));
        }
    }
}
