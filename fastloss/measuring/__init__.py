"""What `fastloss bench` and benchmarks/ share: candidates, how they are checked and timed, and the least time that memory allows.

    environment   threads, settled before libraries load      machine   where numbers were taken
    cases         data and parameters of every loss           ours      fastloss as a candidate
    rivals        who else can compute what                   verify    a candidate is right, or is not timed
    roofline      bare reads and writes                       timing    interleaved, least times
    compare       one comparison                              runs      many of them, saved, and one run against another
    chart         a run as a figure

Call environment.settle() before the others are imported.
"""

LARGEST = 2**40  # samples of a case
LONGEST = 3600.0  # seconds of a comparison
