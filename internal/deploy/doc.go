// Package deploy holds the tests of what is in the folder deploy.
package deploy
