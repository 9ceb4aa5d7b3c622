// Package datasets holds real images.
package datasets
