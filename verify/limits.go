package verify

// Each returns the limits, so that a config can set them by name.
func (l *Limits) Each() []*Limit {
	return []*Limit{
		&l.AppNumber, &l.AppNumberDaily, &l.AppIP, &l.AppIPDaily, &l.AppPrefix, &l.AppPrefixDaily,
		&l.AppCountry, &l.AppCountryDaily, &l.Number, &l.NumberDaily, &l.IP, &l.Prefix, &l.All, &l.AllDaily,
	}
}
