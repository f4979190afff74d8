//! The table: medians over blocks, and ratios of these.

use crate::load::Block;

/// The blocks of one scenario.
pub(crate) struct Row {
    name: String,
    /// Of the server that is the measure, and of the one that is measured.
    pub(crate) blocks: [Vec<Block>; 2],
}

impl Row {
    pub(crate) fn new(name: &str) -> Row {
        Row { name: name.to_owned(), blocks: Default::default() }
    }
}

/// The middle of what the blocks measured.
pub(crate) fn median(blocks: &[Block], of: fn(&Block) -> f64) -> f64 {
    let mut values: Vec<f64> = blocks.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    f64::midpoint(low, high)
}

/// Prints a Markdown table; `names` are those of the two servers.
pub(crate) fn print(rows: &[Row], names: [&str; 2]) {
    println!();
    println!("Medians over blocks; each cell: {}, {}, ratio.", names[0], names[1]);
    println!();
    println!("| scenario | CPU per request, us | requests/s | p50, us | p99, us | first byte, us |");
    println!("|---|---|---|---|---|---|");
    for row in rows {
        let cell = |of: fn(&Block) -> f64| {
            let [measure, measured] = row.blocks.each_ref().map(|blocks| median(blocks, of));
            format!("{measure:.0}, {measured:.0}, **{:.2}**", measured / measure)
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
