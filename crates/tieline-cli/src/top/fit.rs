//! What fits: on a narrow terminal the columns that say least are left out, and no figure is cut.

/// Between two columns.
pub(super) const GAP: usize = 2;

/// A name is cut to this before a column is left out.
const NAME_MIN: usize = 16;

/// The columns that may be left out, those that are missed least first.
const SPARE: [usize; 8] = [7, 6, 8, 2, 9, 5, 10, 4];

/// Which columns are shown, and how wide each, of columns that are as wide as this.
pub(super) fn columns(widths: [usize; 11], room: usize) -> Vec<(usize, usize)> {
    let mut shown: Vec<usize> = (0..widths.len()).collect();
    let others = |shown: &[usize]| shown[1..].iter().map(|&column| GAP + widths[column]).sum::<usize>();
    for spare in SPARE {
        if widths[0].min(NAME_MIN) + others(&shown) <= room {
            break;
        }
        shown.retain(|column| *column != spare);
    }
    let name = widths[0].min(room.saturating_sub(others(&shown)).max(1));
    shown.into_iter().map(|column| (column, if column == 0 { name } else { widths[column] })).collect()
}

/// Parts in lines, as many in each as have room there; one that has none anywhere has a line of its own.
pub(super) fn lines(parts: &[String], room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut().filter(|line| line.chars().count() + GAP + part.chars().count() <= room) {
            Some(line) => line.extend(["  ", part]),
            None => lines.push(part.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTHS: [usize; 11] = [24, 4, 6, 4, 4, 5, 9, 9, 5, 5, 10];

    #[test]
    fn with_room_for_all_every_column_is_as_wide_as_its_widest_cell() {
        let all: usize = WIDTHS.iter().sum::<usize>() + 10 * GAP;
        assert_eq!(columns(WIDTHS, all), WIDTHS.into_iter().enumerate().collect::<Vec<_>>());
        assert_eq!(columns(WIDTHS, 500), columns(WIDTHS, all));
    }

    #[test]
    fn at_any_width_no_figure_is_cut_and_nothing_stands_beyond_the_edge() {
        for room in 30..140 {
            let shown = columns(WIDTHS, room);
            let used: usize = shown.iter().map(|(_, width)| width).sum::<usize>() + GAP * (shown.len() - 1);
            assert!(used <= room, "{used} of {room}: {shown:?}");
            assert!(shown[1..].iter().all(|&(column, width)| width == WIDTHS[column]), "{room}: {shown:?}");
            assert!([0, 1, 3].iter().all(|column| shown.iter().any(|(at, _)| at == column)), "{room}: {shown:?}");
        }
    }

    #[test]
    fn parts_go_on_in_the_next_line_and_none_is_broken() {
        let parts = ["one", "two", "three", "a part that is long"].map(str::to_owned);
        assert_eq!(lines(&parts, 10), ["one  two", "three", "a part that is long"]);
        assert_eq!(lines(&parts, 200), ["one  two  three  a part that is long"]);
    }
}
