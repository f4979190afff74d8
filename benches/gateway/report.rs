//! The table: medians over blocks, and ratios of these.

use crate::load::Block;

/// The blocks of one scenario.
pub(crate) struct Row {
    name: String,
    pub(crate) nginx: Vec<Block>,
    pub(crate) routeplane: Vec<Block>,
}

impl Row {
    pub(crate) fn new(name: &str) -> Row {
        Row { name: name.to_owned(), nginx: Vec::new(), routeplane: Vec::new() }
    }
}

/// The middle of what the blocks measured.
pub(crate) fn median(blocks: &[Block], of: fn(&Block) -> f64) -> f64 {
    let mut values: Vec<f64> = blocks.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    f64::midpoint(low, high)
}

/// Prints a Markdown table.
pub(crate) fn print(rows: &[Row]) {
    println!();
    println!("Medians over blocks; each cell: nginx, Routeplane, ratio.");
    println!();
    println!("| scenario | CPU per request, us | requests/s | p50, us | p99, us | first byte, us |");
    println!("|---|---|---|---|---|---|");
    for row in rows {
        let cell = |of: fn(&Block) -> f64| {
            let (nginx, routeplane) = (median(&row.nginx, of), median(&row.routeplane, of));
            format!("{nginx:.0}, {routeplane:.0}, **{:.2}**", routeplane / nginx)
        };
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            row.name,
            cell(|block| block.cpu),
            cell(|block| block.requests_per_second),
            cell(|block| block.p50),
            cell(|block| block.p99),
            cell(|block| block.first_byte),
        );
    }
}
