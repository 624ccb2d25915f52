//! The colours of all pictures, for paper and for the dark.
//!
//! Pictures are drawn in the light colours, each of which stands for one meaning only; so in a page
//! they are replaced by variables ([`with_variables`]), to which its style sheet gives either.

use plotters::style::RGBColor;
use std::fmt::Write;

/// A colour by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    name: &'static str,
    light: u32,
    dark: u32,
}

/// Behind everything.
pub const PAPER: Colour = Colour { name: "paper", light: 0xfe_fe_fd, dark: 0x12_15_1a };
/// Behind what belongs together.
pub const PANEL: Colour = Colour { name: "panel", light: 0xf3_f4_f6, dark: 0x1b_20_27 };
/// Text.
pub const INK: Colour = Colour { name: "ink", light: 0x1c_20_26, dark: 0xe4_e7_eb };
/// Text that explains.
pub const QUIET: Colour = Colour { name: "quiet", light: 0x59_62_6e, dark: 0x9c_a6_b3 };
/// Lines of a grid.
pub const GRID: Colour = Colour { name: "grid", light: 0xdc_e0_e6, dark: 0x2f_36_40 };
/// Free memory.
pub const FREE: Colour = Colour { name: "free", light: 0xb4_d9_bd, dark: 0x3c_75_4e };
/// A figure of ours that is the better one.
pub const WIN: Colour = Colour { name: "win", light: 0x1a_7f_37, dark: 0x4a_c2_6b };
/// A figure of ours that is the worse one.
pub const LOSS: Colour = Colour { name: "loss", light: 0xc8_2b_2b, dark: 0xff_7b_72 };
/// This project's allocator.
pub const OURS: Colour = Colour { name: "ours", light: 0x0a_58_ca, dark: 0x5c_a4_ff };

/// For the others, in turn.
pub const SERIES: [Colour; 14] = [
    Colour { name: "s0", light: 0xd9_48_0f, dark: 0xff_92_4f },
    Colour { name: "s1", light: 0x2b_8a_3e, dark: 0x69_db_7c },
    Colour { name: "s2", light: 0x9c_36_b5, dark: 0xda_85_ee },
    Colour { name: "s3", light: 0xb0_86_00, dark: 0xf0_c5_3a },
    Colour { name: "s4", light: 0x0c_85_99, dark: 0x3b_c9_db },
    Colour { name: "s5", light: 0xc2_25_5c, dark: 0xfa_84_ae },
    Colour { name: "s6", light: 0x6b_5b_3e, dark: 0xc9_b5_8c },
    Colour { name: "s7", light: 0x5f_3d_c4, dark: 0xa5_8b_ff },
    Colour { name: "s8", light: 0x6c_75_7d, dark: 0xa9_b2_bb },
    Colour { name: "s9", light: 0x8f_1d_1d, dark: 0xe0_6c_6c },
    Colour { name: "s10", light: 0x4d_7c_0f, dark: 0xb5_e0_5a },
    Colour { name: "s11", light: 0x00_8f_7a, dark: 0x5e_ea_d4 },
    Colour { name: "s12", light: 0x7c_2d_12, dark: 0xfd_ba_74 },
    Colour { name: "s13", light: 0x47_55_69, dark: 0xcb_d5_e1 },
];

/// Blocks by size, from the smallest to the largest.
const RAMP: [Colour; 8] = [
    Colour { name: "b0", light: 0xf4_9d_37, dark: 0xf6_ab_52 },
    Colour { name: "b1", light: 0xee_7b_30, dark: 0xf2_8b_46 },
    Colour { name: "b2", light: 0xe0_56_3c, dark: 0xea_6c_53 },
    Colour { name: "b3", light: 0xc8_3a_55, dark: 0xd9_55_6f },
    Colour { name: "b4", light: 0xa4_2a_72, dark: 0xc0_4d_92 },
    Colour { name: "b5", light: 0x7a_28_86, dark: 0xa0_54_b0 },
    Colour { name: "b6", light: 0x51_2b_8a, dark: 0x80_5f_c0 },
    Colour { name: "b7", light: 0x2e_2f_80, dark: 0x66_72_d0 },
];

impl Colour {
    /// As it is drawn.
    #[must_use]
    pub const fn rgb(self) -> RGBColor {
        let [_, red, green, blue] = self.light.to_be_bytes();
        RGBColor(red, green, blue)
    }

    /// The variable of a page that has it.
    #[must_use]
    pub fn variable(self) -> String {
        format!("var(--{})", self.name)
    }
}

/// The colour of blocks of that order, of so many orders.
#[must_use]
pub fn of_order(order: usize, orders: usize) -> Colour {
    let last = RAMP.len() - 1;
    RAMP[(order * last + orders / 2).checked_div(orders.saturating_sub(1)).unwrap_or(0).min(last)]
}

fn all() -> impl Iterator<Item = Colour> {
    let named = [PAPER, PANEL, INK, QUIET, GRID, FREE, WIN, LOSS, OURS];
    named.into_iter().chain(SERIES).chain(RAMP)
}

/// The style sheet's part that gives the variables their colours.
#[must_use]
pub fn style_sheet() -> String {
    let mut css = String::from(":root{color-scheme:light dark;");
    for colour in all() {
        let _ = write!(css, "--{}:#{:06x};", colour.name, colour.light);
    }
    css.push_str("}@media(prefers-color-scheme:dark){:root{");
    for colour in all() {
        let _ = write!(css, "--{}:#{:06x};", colour.name, colour.dark);
    }
    css.push_str("}}");
    css
}

/// A picture with variables for colours, for a page with [`style_sheet`].
#[must_use]
pub fn with_variables(picture: &str) -> String {
    all().fold(picture.to_owned(), |picture, colour| {
        picture
            .replace(&format!("\"#{:06X}\"", colour.light), &format!("\"{}\"", colour.variable()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_colour_has_one_meaning() {
        let mut colours: Vec<u32> = all().map(|colour| colour.light).collect();
        let mut names: Vec<&str> = all().map(|colour| colour.name).collect();
        let count = colours.len();
        colours.sort_unstable();
        colours.dedup();
        names.sort_unstable();
        names.dedup();
        assert_eq!((colours.len(), names.len()), (count, count));
    }

    #[test]
    fn text_stands_out_from_its_ground_in_both() {
        // WCAG 2: relative luminance, and the ratio of contrast.
        let luminance = |colour: u32| {
            let part = |byte: u8| {
                let part = f64::from(byte) / 255.0;
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            };
            let [_, red, green, blue] = colour.to_be_bytes();
            0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue)
        };
        let contrast = |one: u32, other: u32| {
            let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
            one.max(other) / one.min(other)
        };
        for ground in [PAPER, PANEL] {
            for text in [INK, QUIET, WIN, LOSS, OURS] {
                assert!(contrast(text.light, ground.light) > 4.5, "{text:?} on {ground:?}");
                assert!(contrast(text.dark, ground.dark) > 4.5, "{text:?} on {ground:?}");
            }
        }
    }

    #[test]
    fn every_colour_of_a_picture_becomes_a_variable() {
        let picture = "<rect fill=\"#FEFEFD\"/><text fill=\"#1C2026\">#FEFEFD</text>";
        let expected = "<rect fill=\"var(--paper)\"/><text fill=\"var(--ink)\">#FEFEFD</text>";
        assert_eq!(with_variables(picture), expected);
    }

    #[test]
    fn orders_have_the_whole_ramp() {
        assert_eq!((of_order(0, 20), of_order(19, 20)), (RAMP[0], RAMP[7]));
        assert_eq!(of_order(0, 1), RAMP[0]);
    }
}
