# tries: take capabilities
# holds: none in the bounding set
attempt "taken" 126 x2205082000000000 xff000000ff00000000000000000000000000000000000000
