//! A path as a story that reads: what happened, and what everybody got.

use crate::action::Action;
use crate::model::Exploration;

/// Tells a path, and how it ended if a rule was broken in its last state.
pub fn tell(exploration: &Exploration, path: &[Action]) -> String {
    let bound = exploration.bound();
    let mut lines = vec![format!("within the bound '{}':", bound.name)];
    for (conn, role) in (1..).zip(bound.roles) {
        let does = match (role.sends, role.receives) {
            (true, true) => "sends and receives",
            (true, false) => "sends",
            _ => "receives",
        };
        lines.push(format!("  connection {conn} {does}"));
    }
    let mut world = crate::world::World::new(bound);
    world.journal = Some(Vec::new());
    for (number, action) in (1..).zip(path) {
        world.tell(|| format!("  {number:>3}. {action}"));
        let is_last = number == path.len();
        let outcome = world.step(*action).and_then(|_| if is_last { world.check() } else { world.forget() });
        if let Err(broken) = outcome {
            lines.append(world.journal.get_or_insert_default());
            lines.push(format!("broken: {broken}"));
            return lines.join("\n");
        }
    }
    let meddled = if bound.meddles { world.meddle() } else { Ok(()) };
    let concluded = meddled.and_then(|()| world.conclude(bound));
    lines.append(world.journal.get_or_insert_default());
    if let Err(broken) = concluded {
        lines.push(format!("broken: {broken}"));
    }
    lines.join("\n")
}
