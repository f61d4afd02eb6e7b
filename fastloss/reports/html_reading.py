"""How to read the pictures of a report: plain words for those who see such a picture for the first time."""

COSTS = (
    "A cost is the average of the losses of all predictions, by weight where there are weights. It is exact: to the last digit, the same "
    "however the data was cut up. A loss says how wrong one prediction is; lower is better."
)
INTERVAL = (
    "The interval says how far the cost could lie from what endless data of this kind would give ({source}), if the predictions are "
    "independent of one another."
)
FOREST = (
    "A dot is the cost of the predictions of one segment, the dashed line that of all; a dot to the right of the line is worse than the "
    "average."
)
FOREST_INTERVAL = (
    " The bar is where the cost would lie with more data of this kind, at {level:g} %: a bar that crosses the dashed line may differ from "
    "the rest by chance alone."
)
FOREST_SHARE = " The percentage is the segment's part of the whole cost: large where it has many predictions, or bad ones."
FOREST_OUTER = " Parts are those of the mean that this cost is the {outer} of."
FOREST_CUT = " Some bars go on beyond the edge."
HISTOGRAM = "The height of a bar is the share {unit} with such a loss; good ones are at the left."
UNEVEN = " The scale is not even: each label is a multiple of the one before."
CURVE = "Pick a loss below, go up to the curve, and read the share at the left; a curve that rises early is good."
RELIABILITY = (
    "Predictions are put into groups of about equal probability, a circle each. On the dashed line things are as often so as was said; "
    "below it predictions promise too much, above it too little. The bars below count the predictions of a group: small groups say little."
)
RELIABILITY_INTERVAL = " The strokes are where the share would lie with more data, at 95 %."
SERIES = (
    "Each dot is the cost of a stretch of rows, the dashed line that of all. A line that drifts, jumps or spikes says that part of the "
    "data is different: another time, another source, an error in the file."
)
SERIES_BAND = " The shaded area is what chance alone would allow, around each dot."
SERIES_FILES = " Dotted lines are where a file begins."
WORST = (
    "The largest losses, and where to find them. Look at these first: mistakes in the data are often among them. Rows are counted from 0 "
    "within their file."
)
COMPARED = (
    "A cost is the average of the losses of all predictions; lower is better. B − A is the cost of B less that of A: below 0, B is better. "
    "The interval says where it would lie with endless data of this kind, at {level} ({source}), if the predictions are independent of one "
    "another: one that holds 0 leaves open which is better."
)
DIFFERENCES = (
    "A dot is the difference by one loss, the bar its interval, the dashed line is where A and B are alike. A bar left of the line: B is "
    "better; right of it: A is better; across it: chance alone may have made the difference."
)
DIFFERENCES_BY = (
    "A dot is the difference in one segment, the bar its interval (normal distribution), the dashed line is where A and B are alike. "
    "Left of it B is better, right of it A. Of many segments, a few bars miss the line by chance alone; p, Holm is "
    "adjusted for their number."
)
SIGNS = (
    "Blue is B, orange is A, pale is no difference. This counts each prediction as one, however large its difference; p is the chance that "
    "counts are as uneven if each were as likely to be better."
)
DIFFERING = (
    "The predictions whose losses by A and by B lie furthest apart: what one model knows, and the other does not. Rows are counted from 0 "
    "within their file."
)
