package httpapi

func anomalyRoutes() []route { return nil }
