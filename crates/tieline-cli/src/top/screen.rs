//! The table on the whole terminal, drawn again at each look.

use std::io;
use std::time::Duration;

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph, Row, Table};
use ratatui::{DefaultTerminal, Frame};
use tieline_server::observe::Sort;
use tokio::time::{MissedTickBehavior, interval};

use super::fetch::Server;
use super::figures::{Channel, Look};
use super::keys::{self, Pressed};
use super::{fit, table};
use crate::exit::{self, Failure};
use crate::signals::EndSignals;

/// Lines that aren't channels: the summary, the header, the keys.
const OTHER_LINES: u16 = 3;

/// Advice at once, in lines, at most.
const ADVICE_MAX: usize = 3;

/// The column of each order in [`table::HEADER`].
const ORDERED: [(Sort, usize); 10] = [
    (Sort::Name, 0),
    (Sort::Waiting, 1),
    (Sort::Oldest, 2),
    (Sort::Free, 3),
    (Sort::Busy, 4),
    (Sort::Rate, 5),
    (Sort::In, 6),
    (Sort::Out, 7),
    (Sort::P50, 8),
    (Sort::P99, 9),
];

/// What columns are wide at least, so that they don't move as their figures change.
const STEADY: [usize; 11] = [12, 4, 6, 5, 5, 6, 8, 8, 5, 5, 10];

/// What is on the screen.
struct Screen {
    sort: Sort,
    look: Option<Look>,
    /// Why the last look failed.
    trouble: Option<String>,
    is_helping: bool,
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
    let first = server.look_aloud(sort, 1).await?;
    let mut signals = EndSignals::listen().map_err(no_terminal)?;
    let mut terminal = ratatui::try_init().map_err(no_terminal)?;
    let mut screen = Screen { sort, look: Some(first), trouble: None, is_helping: false };
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
        let mut keys = keys::listen();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let rows = terminal.size()?.height.saturating_sub(OTHER_LINES).max(1);
                    self.take(server.look(self.sort, limit.min(rows.into())).await);
                }
                pressed = keys.recv() => match pressed {
                    Some(Pressed::Sort(sort)) => {
                        self.sort = sort;
                        // What the server has looked at is good for a second: this costs it nothing.
                        ticks.reset_immediately();
                        continue;
                    }
                    Some(Pressed::Help) => self.is_helping = !self.is_helping,
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
        let room = usize::from(frame.area().width);
        let summary = fit::lines(&table::summary(look), room);
        let advice: Vec<String> = table::advice(look).take(ADVICE_MAX).flat_map(|line| in_room(&line, room)).collect();
        let [top, middle, bottom, keys] = Layout::vertical([
            Constraint::Length(summary.len() as u16),
            Constraint::Min(2),
            Constraint::Length(advice.len() as u16),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(text(summary), top);
        if look.page.channels.is_empty() {
            frame.render_widget(Paragraph::new(format!("\n{}", table::NO_CHANNELS)), middle);
        } else {
            frame.render_widget(channels(look, self.sort, room), middle);
        }
        frame.render_widget(text(advice).style(Color::Yellow), bottom);
        let style = if self.trouble.is_some() { Style::from(Color::Red) } else { DIM };
        frame.render_widget(
            Paragraph::new(self.footer(usize::from(middle.height.saturating_sub(1)), room)).style(style),
            keys,
        );
        if self.is_helping {
            help(frame);
        }
    }

    /// The last line: how old the figures are, or what can be pressed.
    fn footer(&self, rows: usize, room: usize) -> String {
        if let Some(trouble) = &self.trouble {
            return format!("these figures are old: {trouble}");
        }
        let total = self.look.as_ref().map_or(0, |look| look.page.total);
        let some = if total > rows { format!(", the first {rows} of {total}") } else { String::new() };
        let order = format!("by {}{some}", self.sort.name());
        let orders = keys::ORDERS.map(|(key, sort)| format!("{key} {}", sort.name())).join("  ");
        let whole = format!("{order}   {orders}   ? help  q quit");
        if whole.chars().count() <= room { whole } else { format!("{order}   ? help  q quit") }
    }
}

const DIM: Style = Style::new().add_modifier(Modifier::DIM);

fn text(lines: Vec<String>) -> Paragraph<'static> {
    Paragraph::new(lines.into_iter().map(Line::from).collect::<Vec<_>>())
}

fn channels(look: &Look, sort: Sort, room: usize) -> Table<'static> {
    let cells: Vec<_> = look.page.channels.iter().map(table::cells).collect();
    let needed = table::widths(&cells);
    let columns = fit::columns(std::array::from_fn(|column| needed[column].max(STEADY[column])), room);
    let ordered = ORDERED.iter().find(|(order, _)| *order == sort).map(|(_, column)| *column);
    let header = columns.iter().map(|&(column, _)| {
        let line = aligned(column, table::HEADER[column].to_owned());
        if ordered == Some(column) { line.style(Modifier::BOLD | Modifier::UNDERLINED) } else { line }
    });
    let rows = look.page.channels.iter().zip(cells).map(|(channel, mut cells)| {
        let row = columns.iter().map(|&(column, width)| {
            let cell = std::mem::take(&mut cells[column]);
            aligned(column, cut(cell, width)).style(look_of(channel, column))
        });
        Row::new(row.collect::<Vec<_>>())
    });
    let widths = columns.iter().map(|&(_, width)| Constraint::Length(width as u16));
    Table::new(rows.collect::<Vec<_>>(), widths.collect::<Vec<_>>())
        .column_spacing(fit::GAP as u16)
        .header(Row::new(header.collect::<Vec<_>>()).style(Modifier::REVERSED))
}

/// What stands out: what is missing, what waits, who stalls. What is nothing steps back.
fn look_of(channel: &Channel, column: usize) -> Style {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let is_nothing = match column {
        1 => channel.waiting == 0,
        2 => channel.oldest_wait_seconds.is_none(),
        3 => channel.free == 0,
        4 => channel.busy == 0,
        10 => channel.stalled_on.is_none(),
        _ => false,
    };
    match column {
        0 | 1 | 2 | 10 if channel.start_one.is_some() => bold.fg(Color::Red),
        0 => bold,
        1 | 2 if channel.waiting > 0 && channel.free == 0 => Color::Yellow.into(),
        10 if !is_nothing => Color::Yellow.into(),
        _ if is_nothing => DIM,
        _ => Style::new(),
    }
}

/// Where a line has no room, what to type stands below what is said.
fn in_room(advice: &str, room: usize) -> Vec<String> {
    let parts: Vec<String> = advice.split("  ").map(str::to_owned).collect();
    fit::lines(&parts, room)
}

/// Numbers stand at the right of their columns.
fn aligned(column: usize, cell: String) -> Line<'static> {
    let line = Line::from(cell);
    if column == 0 || column + 1 == table::HEADER.len() { line } else { line.right_aligned() }
}

fn cut(text: String, width: usize) -> String {
    if text.chars().count() <= width { text } else { text.chars().take(width - 1).chain(['…']).collect() }
}

fn help(frame: &mut Frame) {
    let lines = keys::help();
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0) as u16 + 4;
    let (area, height) = (frame.area(), lines.len() as u16 + 2);
    let place = Rect {
        x: area.width.saturating_sub(width) / 2,
        y: area.height.saturating_sub(height) / 2,
        width: width.min(area.width),
        height: height.min(area.height),
    };
    frame.render_widget(Clear, place);
    let lines = lines.into_iter().map(|line| format!(" {line}")).collect();
    frame.render_widget(text(lines).block(Block::bordered().title(" tieline top ")), place);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    fn screen(look: Look) -> Screen {
        Screen { sort: Sort::Waiting, look: Some(look), trouble: None, is_helping: false }
    }

    fn drawn(screen: &Screen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

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
        let text = drawn(&screen(look()), 140, 8);
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
        let mut screen = screen(look());
        screen.take(Err(Failure::new(exit::UNAVAILABLE, "it is out of reach").line("start one")));
        assert_eq!(screen.footer(5, 80), "these figures are old: it is out of reach");
        screen.take(Ok(look()));
        assert!(screen.trouble.is_none() && screen.look.is_some());
    }

    #[test]
    fn on_a_narrow_terminal_columns_are_missing_and_no_figure_is_cut() {
        for width in [40, 50, 60, 80, 100, 120] {
            let text = drawn(&screen(look()), width, 12);
            let row = text.lines().find(|line| line.contains("thumbs") && !line.contains("Start")).unwrap();
            assert!(row.contains("  2  "), "{width}:\n{text}");
            for part in row.trim_matches(['"', ' ']).split_whitespace() {
                let whole = ["thumbs", "2", "1.2s", "0", "3", "-", "310ms", "receiver"];
                assert!(whole.contains(&part), "{part} at {width}:\n{text}");
            }
            assert!(text.contains("? help  q quit"), "{width}:\n{text}");
        }
    }

    #[test]
    fn help_and_a_server_without_channels_are_shown() {
        let mut screen = screen(look());
        screen.is_helping = true;
        let text = drawn(&screen, 80, 24);
        assert!(text.contains("w  waiting") && text.contains("p50, p99 ") && text.contains("q  quit"), "{text}");
        let mut empty = look();
        empty.page.channels.clear();
        (screen.look, screen.is_helping) = (Some(empty), false);
        assert!(drawn(&screen, 100, 10).contains("Nobody uses a channel yet"));
        // On the smallest of terminals nothing goes wrong.
        for (width, height) in [(1, 1), (3, 2), (10, 4)] {
            screen.is_helping = !screen.is_helping;
            drawn(&screen, width, height);
        }
    }
}
