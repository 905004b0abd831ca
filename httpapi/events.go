package httpapi

func eventRoutes() []route { return nil }
