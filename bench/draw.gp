# SPDX-License-Identifier: LGPL-2.1-or-later
# One graph of a row that has one: report.py sets data, pic, head, xname,
# yname, series and logarithmic.
set terminal svg size 720,440 dynamic background rgb 'white' font 'sans,12'
set output pic
set datafile separator "\t"
set datafile missing '?'
set title head noenhanced
set xlabel xname noenhanced
set ylabel yname noenhanced
set key top left noenhanced
set grid
if (logarithmic) { set logscale xy } else { set yrange [0:*] }
plot for [i=2:series+1] data using 1:i with linespoints lw 2 pt 7 ps 0.6 \
	title columnhead(i)
