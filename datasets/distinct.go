package datasets

import "github.com/pkg/errors"

// CheckDistinct returns an error where two of the sets hold the same pictures: each would have labels of its own for them, which no
// network and no classifier can tell apart. One set is found under two names, beside a part of it, and in two folders with the same
// content; pictures that two other sets share are not looked for.
func CheckDistinct(refs ...string) error {
	type set struct{ ref, of, whole string } // of tells the content
	var before []set
	for _, ref := range refs {
		s, p, err := resolve(ref)
		if err != nil {
			return err
		}
		now := set{ref: ref}
		if s != nil {
			now.of, now.whole = s.name, s.whole
		} else {
			own, err := openOwn(p)
			if err != nil {
				return err
			}
			now.of = "content " + own.scan.Hash
		}
		for _, b := range before {
			switch {
			case now.ref == b.ref:
				return errors.Errorf("%.100q is named twice, and the same pictures would have two labels; name each set once", ref)
			case now.of == b.of:
				return errors.Errorf("%.100q and %.100q are the same pictures, which would have two labels; leave one of them out", b.ref, ref)
			case now.whole == b.of:
				return errors.Errorf("the pictures of %q are among those of %q, and would have two labels; leave one of the sets out", ref, b.ref)
			case b.whole == now.of:
				return errors.Errorf("the pictures of %q are among those of %q, and would have two labels; leave one of the sets out", b.ref, ref)
			}
		}
		before = append(before, now)
	}
	return nil
}
