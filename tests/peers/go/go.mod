module chatd.test/peer

go 1.19
