//! The keys: what they are, what is told of them, and the thread that waits for them.

use std::thread;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tieline_server::observe::Sort;
use tokio::sync::mpsc;

/// Keys that change the order.
pub(super) const ORDERS: [(char, Sort); 11] = [
    ('a', Sort::Attention),
    ('c', Sort::Name),
    ('w', Sort::Waiting),
    ('o', Sort::Oldest),
    ('f', Sort::Free),
    ('b', Sort::Busy),
    ('r', Sort::Rate),
    ('i', Sort::In),
    ('u', Sort::Out),
    ('5', Sort::P50),
    ('9', Sort::P99),
];

/// What somebody pressed that means something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pressed {
    Sort(Sort),
    /// Help comes, or goes.
    Help,
    Redraw,
    Quit,
}

/// All that is known of the keys and the columns.
pub(super) fn help() -> Vec<String> {
    let orders = ORDERS.map(|(key, sort)| format!("{key}  {}", sort.name()));
    let mut lines = vec!["Order by".to_owned()];
    lines.extend(
        orders.chunks(4).map(|some| some.iter().map(|order| format!("  {order:<14}")).collect::<Vec<_>>().concat()),
    );
    lines.extend(
        [
            "",
            "WAIT, OLDEST   requests that wait for a receiver, and for how long",
            "FREE, BUSY     how many more receivers would take; in their hands",
            "REQ/S          requests that ended in a second",
            "IN/S, OUT/S    bytes of requests and of responses",
            "p50, p99       how long requests took in the last minute or two",
            "STALLED ON     who keeps bodies from moving, or is missing",
            "",
            "q  quit        ?  close this",
        ]
        .map(str::to_owned),
    );
    lines
}

/// The keys that are pressed, from a thread of their own: a terminal is read by waiting. It ends with the process.
pub(super) fn listen() -> mpsc::Receiver<Pressed> {
    let (sender, receiver) = mpsc::channel(8);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            let Some(pressed) = meaning(&event) else { continue };
            if sender.blocking_send(pressed).is_err() {
                return;
            }
        }
    });
    receiver
}

fn meaning(event: &Event) -> Option<Pressed> {
    match event {
        Event::Key(key) if key.kind == KeyEventKind::Press => of_key(*key),
        Event::Resize(..) => Some(Pressed::Redraw),
        _ => None,
    }
}

fn of_key(key: KeyEvent) -> Option<Pressed> {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => Some(Pressed::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Pressed::Quit),
        KeyCode::Char('?' | 'h') => Some(Pressed::Help),
        KeyCode::Char(letter) if !is_control => {
            ORDERS.iter().find(|(key, _)| *key == letter).map(|(_, sort)| Pressed::Sort(*sort))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_has_a_key_and_no_key_means_two_things() {
        for (key, sort) in ORDERS {
            let event = Event::Key(KeyEvent::from(KeyCode::Char(key)));
            assert_eq!(meaning(&event), Some(Pressed::Sort(sort)), "{key}");
        }
        for (_, sort) in Sort::ALL.into_iter().filter(|(_, sort)| *sort != Sort::Id) {
            assert!(ORDERS.iter().any(|(_, order)| *order == sort), "{sort:?}");
        }
    }
}
