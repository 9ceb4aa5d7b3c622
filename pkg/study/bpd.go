package study

// BPDCommand is how runs with likelihoods are made.
const BPDCommand = "`go run . bench --set bpd.images=40`"
